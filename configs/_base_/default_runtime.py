# Shared by every config: registration of mmseg_adapt, logging, checkpoints, visualisation.
custom_imports = dict(imports=['mmseg_adapt'], allow_failed_imports=False)
default_scope = 'mmseg'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='SignificantLogProcessor', by_epoch=False)
log_level = 'INFO'
tta_model = dict(type='SegTTAModel')  # tools/test.py --tta
load_from = None
resume = False

default_hooks = dict(
    runtime_info=dict(type='DeferredLogHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=5000,
        backend_args=dict(backend='AtomicBackend'),  # a file is complete or does not exist
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
    class_set=dict(type='ClassSetHook'),
    finite_loss=dict(type='FiniteLossHook'),
    checkpoint_guard=dict(type='CheckpointGuardHook'),
    exact_resume=dict(type='ExactResumeHook'),
    preemption=dict(type='PreemptionHook'),
    health=dict(type='GameHealthHook'),
    teacher_health=dict(type='TeacherHealthHook'),
)
