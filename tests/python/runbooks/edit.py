"""Changes a document, to show that a check finds the mistake."""


def change(document, path, value):
    """Sets what a path such as `inputs.Choices.0.NextStep` leads to, or deletes it if `value` is None."""
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        document = document[key]
    if value is None:
        del document[last]
    else:
        document[last] = value
