"""Before its first iteration a training says on one screen what it will do; everything else is in the log file."""

import logging

from mmengine.logging import print_log

from mmseg_adapt.log.start_screen import FrameworksAreSilent

from .tiny import run_tool, tiny_config


def test_the_console_shows_one_screen_and_the_log_file_everything(street_data, tmp_path, monkeypatch, capsys):
    cfg = tiny_config('demo/streets_mic.py', street_data, tmp_path / 'run')
    cfg.train_dataloader.batch_size = 2
    cfg.dump(tmp_path / 'mine.py')
    run_tool('train.py', tmp_path / 'mine.py', '--work-dir', tmp_path / 'run', monkeypatch=monkeypatch)
    start, _, rest = capsys.readouterr().out.partition('Iter(train)')
    assert rest
    lines = start.splitlines()
    assert len(lines) <= 40
    said = {line.split('  ')[0].strip(): line for line in lines}
    assert '4 images, labels, 2 per batch' in said['source']
    assert '4 images, no labels, 2 per batch' in said['target']
    assert 'DeepLabV2ResNet + DeepLabV2Head, 0.72 M parameters' in said['segmentor']
    assert 'none trained' in said['teacher']
    assert 'SGD for segmentor, learning rate 0.02' in said['optimiser']
    assert '2, validation every 2, checkpoint every 2' in said['iterations']
    (log,) = (tmp_path / 'run').glob('*/*.log')
    text = log.read_text()
    assert 'Runtime environment' in text
    assert "type='MIC'" in text
    assert said['config'] in text
    assert str(log) in start
    assert 'FileClient' in text and 'FileClient' not in start


def test_warnings_of_the_frameworks_and_errors_are_not_silenced(caplog):
    silence, logger = FrameworksAreSilent(), logging.getLogger('quiet')
    logger.addFilter(silence)
    records = {}

    def speak(module: str, level: int) -> bool:
        scope = dict(__name__=module, print_log=print_log, logger=logger, level=level)
        with caplog.at_level(logging.INFO, 'quiet'):
            caplog.clear()
            exec('print_log("words", logger, level)', scope)
        return bool(caplog.records)

    for module in ('mmengine.runner.runner', 'mmengine.optim.optimizer', 'mmseg_adapt.datasets.orders', 'my_code'):
        records[module] = [speak(module, level) for level in (logging.INFO, logging.WARNING, logging.ERROR)]
    assert records['mmengine.runner.runner'] == [False, True, True]
    assert records['mmengine.optim.optimizer'] == [False, False, True]
    assert records['mmseg_adapt.datasets.orders'] == records['my_code'] == [True, True, True]
    silence.started = True
    assert speak('mmengine.optim.optimizer', logging.INFO)
