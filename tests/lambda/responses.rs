//! Responses in the wire formats of AWS's services.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wiremock::ResponseTemplate;

/// The message of every simulated error.
const MESSAGE: &str = "simulated error";

/// Returns a response of EC2 with this content.
pub(crate) fn ec2(operation: &str, content: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(format!(
        "<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">{content}</{operation}Response>"
    ))
}

/// Returns an error of EC2.
pub(crate) fn ec2_error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{MESSAGE}</Message></Error></Errors>\
         <RequestID>1</RequestID></Response>"
    ))
}

/// Returns a response of EC2 Auto Scaling with this content.
pub(crate) fn auto_scaling(operation: &str, content: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(format!(
        "<{operation}Response xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\">\
         <{operation}Result>{content}</{operation}Result></{operation}Response>"
    ))
}

/// Returns an error of EC2 Auto Scaling.
pub(crate) fn auto_scaling_error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_string(format!(
        "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{MESSAGE}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    ))
}

/// Returns a response of AWS Config.
pub(crate) fn config(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// Returns an error of AWS Config.
pub(crate) fn config_error(status: u16, code: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"__type": code, "message": MESSAGE}))
}

/// Returns the response of STS to `AssumeRole`. The credentials expire after `seconds`.
pub(crate) fn assume_role(access_key_id: &str, seconds: i64) -> ResponseTemplate {
    let expiration = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let expiration = expiration.format(&Rfc3339).unwrap();
    ResponseTemplate::new(200).set_body_string(format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <Credentials><AccessKeyId>{access_key_id}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>\
         <SessionToken>token</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    ))
}
