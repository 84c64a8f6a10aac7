"""Pick the best pretrained vision-language model for a task from a few unlabelled images."""
