# VFM-UDA on DINOv2 ViT-L with low-rank adapters (Hu et al., ICLR 2022), GTA5 → Cityscapes.
# Published: –.
# Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/vfm/gta2cs_vitl_lora.py
# The encoder is frozen and shared by student and teacher; adapters of rank 16 and the decoder are trained.
_base_ = './gta2cs_vitl.py'
model = dict(segmentor=dict(low_rank=dict(rank=16)))
rates = dict(_delete_=True, norm_decay_mult=0.0)  # adapters learn as fast as the decoder
optim_wrapper = dict(segmentor=dict(optimizer=dict(lr=5e-5), paramwise_cfg=rates))
