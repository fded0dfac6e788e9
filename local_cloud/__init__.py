"""AWS on one machine: the ministack gateway with a SageMaker service of our own plugged in.

It knows nothing of the rest of the project: it is given API calls, runs any pipeline definition, and starts jobs and
endpoints as processes under the documented ``/opt/ml`` contract, acting as the role each of them was given.
"""
