# A complete stock config adapted in twelve lines: MMSegmentation's DeepLabV3+ for Cityscapes keeps its model, its
# pipelines, its optimiser and its schedule. Its own labelled data are the source; the target is a folder of images,
# here BDD100K's. (The stock schedule ends at a learning rate of 1e-4, which is D's from the start: D's stays constant.)
# Published: none. Ours: not run (needs the data sets and a GPU).
#   python tools/train.py configs/adaptseg/cs2bdd_deeplabv3plus_r50.py
_base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py'

custom_imports = dict(imports=['mmseg_adapt'])
segmentor = dict(_base_.model, type='MultiLevelSegmentor')
d = dict(decode=dict(type='OutputSpaceDiscriminator', in_channels=19))
model = dict(_delete_=True, type='AdaptSegNet', segmentor=segmentor, discriminator=d, lambda_adv=dict(decode=0.001))
adam = dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))
players = dict(constructor='PlayerOptimWrapperConstructor', segmentor=_base_.optim_wrapper, discriminator=adam)
optim_wrapper = dict(_delete_=True, **players)
target = dict(type='BDD100KDataset', data_root='data/bdd100k', data_prefix=dict(img_path='images/10k/train'))
pair = dict(type='DomainPairDataset', source=_base_.train_dataloader.dataset, target=target)
train_dataloader = dict(sampler=dict(_delete_=True, type='DomainPairSampler'), dataset=dict(_delete_=True, **pair))
labelled = dict(img_path='images/10k/val', seg_map_path='labels/sem_seg/masks/val')
val_dataloader = test_dataloader = dict(dataset=dict(target, data_prefix=labelled))
