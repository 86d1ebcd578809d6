//! What launched an instance, by the tags that services put on it. It launches the next one, too.

use std::borrow::Cow;

use serde::Serialize;

use super::launch_source::LaunchOrigin;
use super::resource::{Resource, ResourceType};

/// What launched an instance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LaunchedBy<'a> {
    /// The type, such as `AWS::AutoScaling::AutoScalingGroup`.
    #[serde(rename = "type")]
    pub launcher_type: &'static str,
    /// The name or id.
    pub id: Cow<'a, str>,
}

/// The version of a launch template that an instance was launched from, or the next one will be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TemplateVersion<'a> {
    /// The id of the launch template.
    pub id: Cow<'a, str>,
    /// The number of the version, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'a, str>>,
}

/// The tags that name what launched an instance, and its type. The most specific one comes first: the instances of
/// an EKS node group also belong to an Auto Scaling group, which follows the node group.
const TAGS: [(&str, &str); 8] = [
    // https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html
    ("eks:nodegroup-name", "AWS::EKS::Nodegroup"),
    // https://karpenter.sh/docs/concepts/nodeclasses/#spectags
    ("karpenter.sh/nodepool", "Karpenter::NodePool"),
    // https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.tagging.html
    ("elasticbeanstalk:environment-name", "AWS::ElasticBeanstalk::Environment"),
    // https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-tags.html
    ("aws:elasticmapreduce:job-flow-id", "AWS::EMR::Cluster"),
    // https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html
    ("AWSBatchServiceTag", "AWS::Batch::ComputeEnvironment"),
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
    ("aws:ecs:clusterName", "AWS::ECS::Cluster"),
    // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-fleet-tagging.html
    ("aws:ec2:fleet-id", "AWS::EC2::EC2Fleet"),
    // https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html
    ("aws:autoscaling:groupName", "AWS::AutoScaling::AutoScalingGroup"),
];

/// The tags of nodes of container clusters, or what these tags begin with.
const CLUSTER_TAGS: [&str; 5] = [
    // https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html
    "eks:cluster-name",
    "aws:eks:cluster-name",
    // https://kubernetes.io/docs/reference/labels-annotations-taints/
    "kubernetes.io/cluster/",
    "karpenter.sh/nodepool",
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-using-tags.html
    "aws:ecs:clusterName",
];

/// Returns whether an instance is a node of a container cluster, by its tags. Containers are a network hop away from
/// the instance, so that a hop limit of 1 keeps them from IMDSv2
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>).
#[must_use]
pub fn is_cluster_node(resource: &Resource<'_>) -> bool {
    let is_cluster_tag = |key: &str| {
        CLUSTER_TAGS.iter().any(|tag| if tag.ends_with('/') { key.starts_with(tag) } else { key == *tag })
    };
    resource.tags.iter().any(|tag| is_cluster_tag(&tag.key))
}

impl<'a> LaunchedBy<'a> {
    /// Returns what launched an instance, if its tags say so.
    #[must_use]
    pub fn of(resource: &'a Resource<'_>) -> Option<Self> {
        TAGS.iter()
            .find_map(|(key, launcher_type)| Some(Self { launcher_type, id: resource.tag(key)?.into() }))
    }

    /// Returns the Auto Scaling group with this name.
    #[must_use]
    pub fn auto_scaling_group(name: String) -> LaunchedBy<'static> {
        LaunchedBy { launcher_type: "AWS::AutoScaling::AutoScalingGroup", id: name.into() }
    }

    /// Returns a value that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> LaunchedBy<'static> {
        LaunchedBy { launcher_type: self.launcher_type, id: self.id.into_owned().into() }
    }

    /// Returns the name with the type, such as `web (Auto Scaling group)`.
    #[must_use]
    pub fn id_and_noun(&self) -> String {
        format!("{} ({})", self.id, self.noun())
    }

    /// Returns the type as people write it.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self.launcher_type {
            "AWS::EKS::Nodegroup" => "EKS node group",
            "Karpenter::NodePool" => "Karpenter node pool",
            "AWS::ElasticBeanstalk::Environment" => "Elastic Beanstalk environment",
            "AWS::EMR::Cluster" => "EMR cluster",
            "AWS::Batch::ComputeEnvironment" => "AWS Batch",
            "AWS::ECS::Cluster" => "ECS cluster",
            "AWS::EC2::EC2Fleet" => "EC2 Fleet",
            _ => "Auto Scaling group",
        }
    }
}

impl<'a> TemplateVersion<'a> {
    /// Returns the version that an instance was launched from, if its tags say so, or that it or an Auto Scaling group will
    /// be launched from: the first one of a mixed instances policy
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-instances-from-launch-template.html>).
    #[must_use]
    pub fn of(resource: &'a Resource<'_>) -> Option<Self> {
        if resource.resource_type == ResourceType::AutoScalingGroup || resource.is_declared() {
            return resource.launch_sources.iter().find_map(|source| match &source.origin {
                LaunchOrigin::TemplateVersion { template, version, number } => Some(Self {
                    id: template.as_ref().into(),
                    version: Some(number.map_or(version.as_ref().into(), |number| number.to_string().into())),
                }),
                LaunchOrigin::LaunchConfiguration(_) | LaunchOrigin::Unresolved(_) => None,
            });
        }
        Some(Self {
            id: resource.tag("aws:ec2launchtemplate:id")?.into(),
            version: resource.tag("aws:ec2launchtemplate:version").map(Cow::from),
        })
    }

    /// Returns a value that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> TemplateVersion<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        TemplateVersion { id: own(self.id), version: self.version.map(own) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::launch_source::LaunchSource;
    use crate::rule::resource::Tag;

    fn instance(tags: &[(&'static str, &'static str)]) -> Resource<'static> {
        let tags = tags.iter().map(|(key, value)| Tag { key: (*key).into(), value: (*value).into() });
        Resource { tags: tags.collect(), ..Resource::existing(ResourceType::Instance, "i-1".into(), None) }
    }

    #[test]
    fn tags_name_what_launched_an_instance() {
        let group = ("aws:autoscaling:groupName", "web");
        for (tags, expected) in [
            (&[][..], None),
            (&[("Name", "web-1")], None),
            (&[group], Some(("Auto Scaling group", "web"))),
            (&[group, ("eks:nodegroup-name", "nodes")], Some(("EKS node group", "nodes"))),
            (&[("karpenter.sh/nodepool", "spot")], Some(("Karpenter node pool", "spot"))),
            (
                &[("elasticbeanstalk:environment-name", "shop")],
                Some(("Elastic Beanstalk environment", "shop")),
            ),
            (&[("aws:elasticmapreduce:job-flow-id", "j-1")], Some(("EMR cluster", "j-1"))),
            (&[("aws:ec2:fleet-id", "fleet-1")], Some(("EC2 Fleet", "fleet-1"))),
            (&[("AWSBatchServiceTag", "batch")], Some(("AWS Batch", "batch"))),
            (&[group, ("aws:ecs:clusterName", "shop")], Some(("ECS cluster", "shop"))),
        ] {
            let instance = instance(tags);
            let found = LaunchedBy::of(&instance).map(LaunchedBy::into_owned);
            let found = found.as_ref().map(|launcher| (launcher.noun(), launcher.id.as_ref()));
            assert_eq!(found, expected, "{tags:?}");
        }
    }

    #[test]
    fn nodes_of_container_clusters_have_tags() {
        for (key, expected) in [
            ("eks:cluster-name", true),
            ("aws:eks:cluster-name", true),
            ("kubernetes.io/cluster/prod", true),
            ("karpenter.sh/nodepool", true),
            ("aws:ecs:clusterName", true),
            ("kubernetes.io/cluster", false),
            ("eks:cluster-name-of-others", false),
            ("Name", false),
        ] {
            assert_eq!(is_cluster_node(&instance(&[("team", "web"), (key, "x")])), expected, "{key}");
        }
    }

    #[test]
    fn tags_name_the_version_of_a_launch_template() {
        let instance =
            instance(&[("aws:ec2launchtemplate:id", "lt-1"), ("aws:ec2launchtemplate:version", "3")]);
        let version = TemplateVersion::of(&instance).map(TemplateVersion::into_owned).expect("a template");
        assert_eq!(version, TemplateVersion { id: "lt-1".into(), version: Some("3".into()) });
        assert_eq!(TemplateVersion::of(&self::instance(&[])), None);
        for (number, expected) in [(None, "$Latest"), (Some(7), "7")] {
            let (template, version) = ("lt-1".into(), "$Latest".into());
            let origin = LaunchOrigin::TemplateVersion { template, version, number };
            let configuration = LaunchOrigin::LaunchConfiguration("old".into());
            let group = Resource {
                launch_sources: vec![LaunchSource::unread(configuration), LaunchSource::unread(origin)],
                ..Resource::existing(ResourceType::AutoScalingGroup, "arn".into(), None)
            };
            let version = TemplateVersion::of(&group).expect("a template");
            assert_eq!(version, TemplateVersion { id: "lt-1".into(), version: Some(expected.into()) });
        }
    }
}
