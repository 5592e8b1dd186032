# CUDA:  docker build -t mmseg_adapt .
# CPU:   docker build -t mmseg_adapt:cpu --build-arg TORCH_INDEX=… .     (the index of CPU wheels that pytorch.org names)
# Run:   docker run --rm --gpus all --ipc=host -v "$PWD":/work mmseg_adapt train adaptseg/gta2cs_multilevel
# STACK=onedl is the maintained fork of OpenMMLab.
FROM python:3.12-slim AS wheel
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim
ARG STACK=upstream
ARG TORCH_INDEX=
COPY --from=wheel /wheels /wheels
# opencv-python needs libGL, which this image lacks: the headless build of the same version replaces it
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
        torch==2.14.1 torchvision==0.29.1 "$(echo /wheels/*.whl)[$STACK,export]" \
    && pip install --no-cache-dir --force-reinstall --no-deps opencv-python-headless==$(python -c \
        'from importlib.metadata import version; print(version("opencv-python"))') \
    && rm -r /wheels \
    && mmseg-adapt doctor
WORKDIR /work
ENTRYPOINT ["mmseg-adapt"]
CMD ["--help"]
