// Package v1 is a group for the test of apidocs.
//
// +groupName=demo.example.com
package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Color is what one sees.
// +enum
type Color string

const (
	// Red means that it is | hot.
	Red Color = "red"
)

// Lamp gives light.
//
// +genclient
type Lamp struct {
	metav1.TypeMeta `json:",inline"`
	// spec is what
	// is wanted.
	// +required
	Spec LampSpec `json:"spec"`
}

// LampSpec is what is wanted.
type LampSpec struct {
	Place `json:",inline"`
	// colors are what it can show.
	// +default=["red"]
	Colors []Color `json:"colors,omitempty"`
	// socket names where it is plugged in.
	Socket *corev1.SecretReference `json:"socket,omitempty"`
	// labels are put on it.
	Labels map[string]string `json:"labels,omitempty"`
	hidden string
}

// Place is inlined.
type Place struct {
	// room is where it stands.
	Room string `json:"room"`
}

// Unused is not in the reference.
type Unused struct {
	// x is nothing.
	X string `json:"x"`
}
