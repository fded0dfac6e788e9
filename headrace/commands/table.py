"""Every command of `headrace`: the module that has it, and its help in one line.

Only the command that is called is imported; `headrace --help` imports none.
"""

from __future__ import annotations

COMMANDS = {
    "up": ("local", "start the local cloud"),
    "down": ("local", "stop the local cloud"),
    "deploy": ("deploy", "deploy this project"),
    "init": ("init", "write an environment into environments.toml"),
    "doctor": ("doctor.command", "check whether the account has what the environment needs"),
    "destroy": ("cdk", "remove this project from the local cloud"),
    "adopt": ("adopt", "have a new stack take over what a destroyed one retained"),
    "publish": ("publish", "put the project template where other teams start from it"),
    "interrupt": ("local", "take the spot capacity of a training job away, once"),
    "env": ("local", "print the shell variables that send AWS tools to the local cloud"),
    "status": ("status", "show the environment in a few lines"),
    "upload": ("upload", "send a data set, which starts a run"),
    "inspect": ("inspection", "show what would be learned from a data set"),
    "delete": ("deletion", "remove a data set from the data bucket"),
    "watch": ("watch", "follow a run until it ends"),
    "runs": ("runs", "list runs, newest first"),
    "run": ("runs", "start a run on data that has been run before"),
    "redrive": ("redrive", "send dead-lettered messages again"),
    "logs": ("logs", "print what a run's jobs wrote"),
    "models": ("models", "list the versions in the model registry, newest first"),
    "approve": ("decision", "approve a model version, which deploys it"),
    "reject": ("decision", "reject a model version"),
    "predict": ("predict", "ask the endpoint about images"),
    "stop": ("stop", "stop a run"),
    "evaluation": ("evaluation", "show the figures of a run or a model version on the test set"),
    "compare": ("compare", "show how runs or model versions differ"),
    "notices": ("notices", "list the notices that were sent, newest first"),
    "rollback": ("rollback", "serve an earlier approved version"),
    "repair": ("repair", "bring the endpoint to the newest approved version"),
    "projects": ("projects", "start, list and remove SageMaker projects of the published template"),
    "config": ("config", "show the settings of the environment"),
    "images": ("images", "show the container images, and pin them to a digest"),
    "completion": ("completion", "print a script that completes commands and options in a shell"),
}
