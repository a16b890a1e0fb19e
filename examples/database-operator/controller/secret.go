package controller

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	"github.com/annex-dev/annex/examples/database-operator/postgres"
)

// Annotations of the Secret. They are written together with the password that they are about.
const (
	issuedAnnotation = "postgresql.example.com/issued-at"
	askedAnnotation  = "postgresql.example.com/issued-for"
)

// refusal is why there can be no Secret. It is for the consumer to mend.
type refusal struct{ reason, message string }

// readSecret asks the server for the Secret, since the cache may be older than the last password: nil if there is none.
func (j *job) readSecret(ctx context.Context) (*corev1.Secret, *refusal, error) {
	secret := &corev1.Secret{}
	err := j.live.Get(ctx, client.ObjectKeyFromObject(j.database), secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil, nil
	case apierrors.IsForbidden(err):
		return nil, &refusal{databasev1.ReasonClaimRejected, "The APIBinding of this workspace does not accept the permission claim on Secrets."}, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading the Secret: %w", err)
	case !metav1.IsControlledBy(secret, j.database):
		return nil, j.conflict(), nil
	}
	return secret, nil, nil
}

func (j *job) conflict() *refusal {
	return &refusal{databasev1.ReasonSecretConflict, "The Secret " + j.database.Name + " exists and does not belong to this Database. Delete it, or choose another name for the Database."}
}

// loginOf returns what a Secret says. Consumers may change Secrets, so it may be anything.
func (j *job) loginOf(secret *corev1.Secret) login {
	if secret == nil {
		return login{}
	}
	issued, err := time.Parse(time.RFC3339, secret.Annotations[issuedAnnotation])
	if err != nil {
		issued = time.Time{}
	}
	return login{
		username: string(secret.Data[databasev1.SecretUsername]), password: string(secret.Data[databasev1.SecretPassword]),
		issuedAt: issued, asked: secret.Annotations[askedAnnotation],
	}
}

// issue makes a new password for the login that is not in use, and then writes it into the Secret.
func (j *job) issue(ctx context.Context, tenant *postgres.Tenant, secret *corev1.Secret, current login, now time.Time) (login, *refusal, error) {
	next := login{
		username: j.name.Other(current.username), password: postgres.NewPassword(),
		issuedAt: now.Truncate(time.Second), asked: j.database.Annotations[databasev1.RotateAnnotation],
	}
	if err := tenant.OpenLogin(ctx, next.username, next.password, j.limit()); err != nil {
		return next, nil, j.unavailable(ctx, err)
	}
	wanted := j.secretFor(next)
	var err error
	if secret == nil {
		err = j.client.Create(ctx, wanted)
	} else {
		// Labels and annotations of others stay. The version that was read must still be the current one.
		secret.Data = wanted.Data
		metav1.SetMetaDataLabel(&secret.ObjectMeta, managedBy, Component)
		for key, value := range wanted.Annotations {
			metav1.SetMetaDataAnnotation(&secret.ObjectMeta, key, value)
		}
		err = j.client.Update(ctx, secret)
	}
	switch {
	case apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) && secret != nil:
		return next, j.conflict(), nil // one that the claim does not show, or one that cannot be changed
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		return next, &refusal{databasev1.ReasonSecretRefused, "The workspace refuses the Secret: " + err.Error()}, nil
	case err != nil:
		return next, nil, fmt.Errorf("writing the Secret: %w", err)
	}
	return next, nil, nil
}

const managedBy = "app.kubernetes.io/managed-by"

func (j *job) secretFor(l login) *corev1.Secret {
	port := strconv.Itoa(int(j.Port))
	uri := url.URL{Scheme: "postgresql", User: url.UserPassword(l.username, l.password), Host: net.JoinHostPort(j.Host, port), Path: "/" + string(j.name)}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: j.database.Namespace, Name: j.database.Name,
			Labels:      map[string]string{managedBy: Component},
			Annotations: map[string]string{issuedAnnotation: l.issuedAt.UTC().Format(time.RFC3339), askedAnnotation: l.asked},
			// So that the Secret goes with its Database, also when the claim is rejected by then.
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(j.database, databasev1.SchemeGroupVersion.WithKind("Database"))},
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{
			databasev1.SecretHost: []byte(j.Host), databasev1.SecretPort: []byte(port), databasev1.SecretDatabase: []byte(j.name),
			databasev1.SecretUsername: []byte(l.username), databasev1.SecretPassword: []byte(l.password), databasev1.SecretURI: []byte(uri.String()),
		},
	}
}
