# The control of FCAN's ablation: stage 2 without an adversary, i.e. stage 1 trained on, CARLA → CamVid on the CPU.
# Stage 2, from the checkpoint of carla2camvid_fcan_fcn.py. Ours: docs/results.md.
#   python tools/train.py configs/real/carla2camvid_fcan_continued.py
_base_ = './carla2camvid_fcan_ran.py'
model = dict(discriminator=dict(_delete_=True), lambda_adv=dict(_delete_=True))
optim_wrapper = dict(discriminator=dict(_delete_=True))
