"""Stage a: the tests that need a GPU, or their rehearsal on the CPU. Each outcome is written to disk immediately."""

import os
import sys

import pytest
from kit import ROOT, Results, arguments


class Recorder:
    """A pytest plugin that records each test's outcome and time, and why it failed or was skipped."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def pytest_collectreport(self, report) -> None:
        if report.failed:  # a test file cannot be imported; continue with the others
            self.results.add(
                name=report.nodeid, outcome='failed', seconds=0, why=' '.join(str(report.longrepr).split())[-300:]
            )

    def pytest_runtest_logreport(self, report) -> None:
        if report.when != 'call' and report.outcome == 'passed':
            return
        crash = getattr(report.longrepr, 'reprcrash', None)
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else crash.message if crash else ''
        seconds = round(report.duration, 2)
        self.results.add(name=report.nodeid, outcome=report.outcome, seconds=seconds, why=' '.join(why.split())[:300])


def main() -> None:
    args = arguments(__doc__.splitlines()[0])
    sys.argv = ['pytest', '-m', 'gpu', 'tests']  # tests/conftest.py looks for the word gpu before it hides the GPU
    if args.device == 'cpu':
        sys.argv = ['pytest', '-m', 'not gpu', 'tests/test_gpu.py', *(['-k', 'fp32'] if args.tiny else [])]
    os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'  # plugins of the machine's own packages
    options = ['-q', '--rootdir', str(ROOT), '--continue-on-collection-errors']
    options += ['-W', 'ignore::DeprecationWarning']  # from a Python newer than the stack
    code = pytest.main([*sys.argv[1:], *options], plugins=[Recorder(Results(args.out, 'tests'))])
    sys.exit(code)


if __name__ == '__main__':
    main()
