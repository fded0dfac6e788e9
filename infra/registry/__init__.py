"""The model package group, who may decide about its versions, and who else reads it."""
