from .activation_checkpoint_hook import ActivationCheckpointHook
from .adapt_bn_hook import AdaptBNHook
from .alternating_update_hook import AlternatingUpdateHook
from .class_set_hook import ClassSetHook
from .fast_segmentor_hook import FastSegmentorHook
from .finite_loss_hook import FiniteLossHook
from .game_health_hook import GameHealthHook
from .lesson_picture_hook import LessonPictureHook
from .picture_hook import PictureHook
from .teacher_health_hook import TeacherHealthHook

__all__ = [
    'AdaptBNHook',
    'ActivationCheckpointHook',
    'AlternatingUpdateHook',
    'ClassSetHook',
    'FastSegmentorHook',
    'FiniteLossHook',
    'GameHealthHook',
    'LessonPictureHook',
    'PictureHook',
    'TeacherHealthHook',
]
