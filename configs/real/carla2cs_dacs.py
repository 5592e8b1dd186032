# DACS, CARLA → Cityscapes on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2cs_dacs.py
# Unlike in the release, the teacher's BN uses averaged statistics: those of four small images give poor labels.
_base_ = './carla2cs_singlelevel.py'
model = dict(
    _delete_=True,
    type='DACS',
    segmentor=_base_.model.segmentor,
    alpha=0.95,  # the mean of 20 steps: a run has 300, and an older teacher labels with half-trained weights
    teacher_bn='average',
    jitter=dict(strength=0.2, prob=0.8),
    blur=dict(prob=0.5),
)
optim_wrapper = dict(discriminator=dict(_delete_=True))
