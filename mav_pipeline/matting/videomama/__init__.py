"""VideoMaMa: one step of a fine-tuned Stable Video Diffusion UNet."""
