"""From a finished set to training steps: ``python examples/train_loader.py mav-out``.

A small network learns alpha from frame and mask. It shows the plumbing; it is no matting model.
"""

from __future__ import annotations

import argparse
import sys

import torch
from torch import nn
from torch.utils.data import DataLoader

from mav_pipeline.train.loader import MatteDataset


def main() -> None:
    """Trains for a few epochs and tells the loss of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", help="a finished set: a folder or s3://bucket/prefix")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", type=int, default=96)
    words = parser.parse_args()

    dataset = MatteDataset(
        words.root,
        frames=words.frames,
        size=(words.size, words.size),
        short="repeat",
        backgrounds=[(0, 177, 64), (20, 20, 20), (230, 230, 230)],
        shuffle=16,
    )
    loader = DataLoader(dataset, batch_size=4, num_workers=2)
    model = nn.Sequential(
        nn.Conv3d(4, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 1, 3, padding=1), nn.Sigmoid()
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(words.epochs):
        dataset.set_epoch(epoch)
        losses = []
        for batch in loader:
            # (B, T, H, W, 3) and (B, T, H, W) of 0 to 255 -> (B, C, T, H, W) of 0 to 1
            rgb = batch["composite"].movedim(-1, 1) / 255
            mask, alpha = batch["mask"][:, None].float(), batch["alpha"][:, None] / 255
            loss = nn.functional.l1_loss(model(torch.cat([rgb, mask], dim=1)), alpha)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        mean = sum(losses) / len(losses)
        sys.stdout.write(f"epoch {epoch}: {len(dataset)} samples, loss {mean:.4f}\n")


if __name__ == "__main__":
    main()
