// Package load drives a bot through loads on a simulated Telegram, and measures what it does about them.
//
// `gmbot bench` runs it in a process of its own, with the simulator: one clock then tells when an update
// was first sent to the bot and when the call it led to came in. It must not know which bot it drives.
package load
