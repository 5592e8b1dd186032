# FCAN's ablation, target BN statistics ("ABN"), CARLA → CamVid on the CPU. Ours: docs/results.md.
# Stage 1 again, with its BN statistics adapted at the end; or, if stage 1 has been trained already,
#   python tools/adapt_bn.py configs/real/carla2camvid_fcan_abn.py work_dirs/carla2camvid_fcan_fcn/iter_200.pth
#   python tools/train.py configs/real/carla2camvid_fcan_abn.py
_base_ = './carla2camvid_fcan_fcn.py'
target = dict(
    type='IdMappedDataset',
    data_root='data/camvid/train',
    data_prefix=dict(img_path='images'),
    img_suffix='.png',
    pipeline=_base_.target_pipeline,
)
custom_hooks = [dict(type='AdaptBNHook', dataset=target)]
