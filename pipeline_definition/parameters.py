"""The parameters of the pipeline: what a single execution may choose."""

from __future__ import annotations

from typing import Any

from pipeline_definition.settings import PipelineSettings


def parameters(settings: PipelineSettings) -> list[dict[str, Any]]:
    """DataSet and Fingerprint have no default: every execution names its content.

    The approval status is not a parameter: a principal that may start an execution could approve its model.
    """
    return [
        {"Name": "DataSet", "Type": "String"},
        {"Name": "Fingerprint", "Type": "String"},
        {
            "Name": "ProcessingInstanceType",
            "Type": "String",
            "DefaultValue": settings.processing_instance_type,
        },
        {"Name": "TrainInstanceType", "Type": "String", "DefaultValue": settings.train_instance_type},
        {"Name": "TrainInstanceCount", "Type": "Integer", "DefaultValue": settings.train_instance_count},
        {"Name": "Epochs", "Type": "Integer", "DefaultValue": settings.epochs},
        {"Name": "BatchSize", "Type": "Integer", "DefaultValue": settings.batch_size},
        {"Name": "LearningRate", "Type": "Float", "DefaultValue": settings.learning_rate},
        {"Name": "ImageSize", "Type": "Integer", "DefaultValue": settings.image_size},
        {"Name": "AccuracyThreshold", "Type": "Float", "DefaultValue": settings.accuracy_threshold},
        {"Name": "ChampionTolerance", "Type": "Float", "DefaultValue": settings.champion_tolerance},
        {"Name": "MacroF1Threshold", "Type": "Float", "DefaultValue": settings.macro_f1_threshold},
        {"Name": "ClassRecallFloor", "Type": "Float", "DefaultValue": settings.class_recall_floor},
    ]
