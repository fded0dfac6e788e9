"""Notices to people, alarms, the dashboard and the budget."""
