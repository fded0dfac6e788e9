"""Training and processing jobs as processes under the ``/opt/ml`` contract."""
