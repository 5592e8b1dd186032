# DACS, DAFormer and MIC with the settings of DAFormer's and MIC's releases, and VFM-UDA. A config applies one to its
# network.
dacs = dict(type='DACS', alpha=0.99, pseudo_threshold=0.968, jitter=dict(strength=0.2, prob=0.8), blur=dict(prob=0.5))
daformer = dict(
    dacs,
    type='DAFormer',
    alpha=0.999,
    ignore_top=15,  # rows of the crop: rectification artefacts
    ignore_bottom=120,  # the ego vehicle
    feature_distance=dict(weight=0.005, classes=(6, 7, 11, 12, 13, 14, 15, 16, 17, 18), min_ratio=0.75),  # things
)
mask = dict(block=32, ratio=0.7, weight=1.0)  # for MIC, at half resolution
vfm = dict(dacs, type='VFMUDA', alpha=0.999, ignore_top=15, ignore_bottom=120)
vfm['mask'] = dict(mask, block=28)  # for MIC, two patches
