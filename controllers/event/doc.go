// Package event runs the recorder of the Events that our controllers tell by multicluster.Config.Tell; see client/event.
package event
