"""Detection: YOLO, from its ideas to Ultralytics' models on our loop."""
