"""The gateway: readings over HTTP, WebSocket and MQTT, for devices that do not speak Kafka."""
