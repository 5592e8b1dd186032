# MinEnt from the checkpoint of carla2camvid_fcan_fcn.py, CARLA → CamVid on the CPU. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_minent.py
_base_ = './carla2camvid_fcan_ran.py'
model = dict(
    _delete_=True,
    type='MinEnt',
    segmentor=_base_.model.segmentor,
    lambda_ent=dict(decode=0.005),
)
optim_wrapper = dict(discriminator=dict(_delete_=True))
