# FCAN's ablation, target BN statistics ("ABN"), on the two generated domains of the demo. Ours: docs/results.md.
# Stage 1 again, with its BN statistics adapted at the end; or, if stage 1 has been trained already,
#   python tools/adapt_bn.py configs/demo/streets_fcan_abn.py work_dirs/streets_fcan_fcn/iter_500.pth
#   python tools/train.py configs/demo/streets_fcan_abn.py
_base_ = './streets_fcan_fcn.py'
target = dict(
    type='IdMappedDataset',
    data_root=_base_.data_root,
    data_prefix=dict(img_path='target/train/images'),
    img_suffix='.png',
    pipeline=_base_.target_pipeline,
)
custom_hooks = [dict(type='AdaptBNHook', dataset=target)]
