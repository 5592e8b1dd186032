# MIC on DACS, Cityscapes → IDD-Lite on the CPU. Ours: not measured yet.
#   python tools/train.py configs/real/cs2idd_mic.py
# Unlike the release the teacher's BN uses averaged statistics: those of four small images label badly.
_base_ = './cs2idd_singlelevel.py'
model = dict(
    _delete_=True,
    type='MIC',
    segmentor=_base_.model.segmentor,
    alpha=0.99,  # the mean of 100 steps: a run has 600
    teacher_bn='average',
    jitter=dict(strength=0.2, prob=0.8),
    blur=dict(prob=0.5),
    mask=dict(block=32, ratio=0.5, begin=200, ramp=100),  # masks hurt while pseudo-labels are poor
)
optim_wrapper = dict(discriminator=dict(_delete_=True))
