"""From images to a served model in the local cloud: python -m headrace.demo."""
