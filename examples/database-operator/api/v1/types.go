package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeletionPolicy says what happens to the data when a Database is deleted.
type DeletionPolicy string

const (
	// Delete deletes the data.
	Delete DeletionPolicy = "Delete"
	// Retain keeps the data; nobody can log in any more. A new Database of the same name in the same namespace gets it back.
	Retain DeletionPolicy = "Retain"
)

// RotateAnnotation asks for a new password: whenever its value changes, the operator makes one.
const RotateAnnotation = "postgresql.example.com/rotate"

// Conditions of a Database, and their reasons.
const (
	// Ready means that the Secret has what a program needs to log in: the operator has tried it.
	Ready = "Ready"

	// ReasonAvailable is why a Database is ready.
	ReasonAvailable = "Available"
	// ReasonClaimRejected means that the APIBinding does not let the operator use Secrets.
	ReasonClaimRejected = "ClaimRejected"
	// ReasonSecretConflict means that there is a Secret of this name that the operator did not make.
	ReasonSecretConflict = "SecretConflict"
	// ReasonSecretRefused means that the workspace refuses the Secret, for example because of a quota.
	ReasonSecretRefused = "SecretRefused"
	// ReasonServerUnavailable means that the PostgreSQL server does not do what the operator asks for. The operator tries again.
	ReasonServerUnavailable = "ServerUnavailable"
	// ReasonDeleting means that the Database is being deleted.
	ReasonDeleting = "Deleting"
)

// Keys of the Secret, which has the name of the Database.
const (
	SecretHost     = "host"
	SecretPort     = "port"
	SecretDatabase = "database"
	SecretUsername = "username"
	SecretPassword = "password"
	// SecretURI has all of them, as programs take them.
	SecretURI = "uri"
)

// DatabaseSpec is what a consumer wants.
type DatabaseSpec struct {
	// deletionPolicy says what happens to the data when the Database is deleted.
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
	// connectionLimit is how many connections the Database may have at once.
	ConnectionLimit int32 `json:"connectionLimit,omitempty"`
	// rotationInterval is how old a password may become, for example 720h. Without it, the operator changes no password by itself.
	RotationInterval *metav1.Duration `json:"rotationInterval,omitempty"`
}

// DatabaseStatus is what the operator has done.
type DatabaseStatus struct {
	// conditions has Ready.
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// database is the name of the database in the PostgreSQL server.
	Database string `json:"database,omitempty"`
	// secretName is the name of the Secret with the login.
	SecretName string `json:"secretName,omitempty"`
	// issuedAt is when the password in the Secret was made.
	IssuedAt *metav1.Time `json:"issuedAt,omitempty"`
}

// Database is a database in a PostgreSQL server.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type Database struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   DatabaseSpec   `json:"spec,omitempty"`
	Status DatabaseStatus `json:"status,omitempty"`
}

// DatabaseList is a list of Databases.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type DatabaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Database `json:"items"`
}
