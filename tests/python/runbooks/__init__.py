"""The runbooks in ssm-documents/, executed against a moto server."""
