"""The templates in cloudformation/, checked for what cfn-lint does not check."""
