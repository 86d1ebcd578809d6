"""The fixtures that every suite may use."""

pytest_plugins = ["support.moto_server", "support.journal"]
