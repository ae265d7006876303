"""MONAI's VQ-VAE on the curves of benchmarks/vqvae.py; run by it with the peer's Python.

Its quantiser accepts images and volumes only. The work-around: encoder and decoder for one
dimension, and a quantiser built for two whose permutations are set to those of one.
"""

import sys
import time

import numpy as np
import torch
from monai.networks.nets import VQVAE
from monai.networks.nets.vqvae import Decoder, Encoder

POINTS, PLACES, CODES, BATCH = 60, 3, 2, 2048
CHANNELS = (16, 32, 64)
DOWN = ((5, 5, 1, 0), (2, 4, 1, 1), (2, 4, 1, 1))
UP = ((2, 4, 1, 1, 0), (2, 4, 1, 1, 0), (5, 5, 1, 0, 0))


def built(seed):
    """Three places of two codes of dimension two, as ours; one codebook for all places."""
    torch.manual_seed(seed)
    shared = {"num_res_layers": 1, "num_res_channels": CHANNELS, "dropout": 0.0, "act": "RELU"}
    network = VQVAE(
        spatial_dims=2, in_channels=1, out_channels=1, channels=CHANNELS, num_res_layers=1,
        num_res_channels=CHANNELS, downsample_parameters=DOWN, upsample_parameters=UP,
        num_embeddings=CODES, embedding_dim=2,
    )  # fmt: skip
    network.encoder = Encoder(
        spatial_dims=1, in_channels=1, out_channels=2, channels=CHANNELS,
        downsample_parameters=DOWN, **shared,
    )  # fmt: skip
    network.decoder = Decoder(
        spatial_dims=1, in_channels=2, out_channels=1, channels=CHANNELS,
        upsample_parameters=UP, output_act=None, **shared,
    )  # fmt: skip
    quantiser = network.quantizer.quantizer
    quantiser.flatten_permutation = [0, 2, 1]
    quantiser.quantization_permutation = [0, 2, 1]
    return network


def main(source, target, epochs, seeds):
    torch.set_num_threads(1)
    held = np.load(source)
    training, test = (torch.from_numpy(held[name])[:, None] for name in ("training", "test"))
    codes, curves, seconds = [], [], []
    for seed in range(seeds):
        network = built(seed)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        began = time.process_time()
        for _ in range(epochs):
            order = torch.randperm(len(training))
            for start in range(0, len(order), BATCH):
                batch = training[order[start : start + BATCH]]
                found, loss = network(batch)
                optimiser.zero_grad()
                ((found - batch).abs().mean() + loss).backward()
                optimiser.step()
        seconds.append((time.process_time() - began) / epochs)
        network.eval()
        with torch.no_grad():
            index = torch.cat([network.index_quantize(part) for part in test.split(BATCH)])
            curves.append(torch.cat([network(part)[0] for part in test.split(BATCH)])[:, 0])
        codes.append(index.reshape(len(test), PLACES) @ torch.tensor([4, 2, 1]) + 1)
    np.savez(target, codes=np.stack(codes), curves=torch.stack(curves).numpy(), seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
