package core

import (
	"crypto/tls"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/registry/kinds"
)

func secrets() *kinds.Kind[corev1.Secret, *corev1.Secret] {
	return &kinds.Kind[corev1.Secret, *corev1.Secret]{
		Columns: []metav1.TableColumnDefinition{
			kinds.NameColumn(),
			{Name: "Type", Type: "string", Description: corev1.Secret{}.SwaggerDoc()["type"]},
			{Name: "Data", Type: "string", Description: corev1.Secret{}.SwaggerDoc()["data"]},
			kinds.AgeColumn(),
		},
		Cells: func(secret *corev1.Secret) []any {
			return []any{secret.Name, string(secret.Type), int64(len(secret.Data)), kinds.Age(secret.CreationTimestamp)}
		},
		Fields:             func(secret *corev1.Secret) fields.Set { return fields.Set{"type": string(secret.Type)} },
		Name:               apimachineryvalidation.NameIsDNSSubdomain,
		Validate:           validateSecret,
		StandardFinalizers: true,
		ValidateUpdate:     validateSecretUpdate,
		Warn:               warnOfSecret,
	}
}

func validateSecret(secret *corev1.Secret) field.ErrorList {
	var errs field.ErrorList
	data := field.NewPath("data")
	size := 0
	for key, value := range secret.Data {
		errs = append(errs, validateDataKey(key, data.Key(key))...)
		size += len(value)
	}
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(data, "", corev1.MaxSecretSize))
	}
	return append(errs, validateSecretType(secret, data)...)
}

// validateSecretType checks the required keys of the type.
func validateSecretType(secret *corev1.Secret, data *field.Path) field.ErrorList {
	missing := func(key string) *field.Error { return field.Required(data.Key(key), "") }
	has := func(key string) bool { _, ok := secret.Data[key]; return ok }
	switch secret.Type {
	case corev1.SecretTypeServiceAccountToken:
		if secret.Annotations[corev1.ServiceAccountNameKey] == "" {
			return field.ErrorList{field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), "")}
		}
	case corev1.SecretTypeDockercfg:
		return validateJSONKey(secret, corev1.DockerConfigKey, data)
	case corev1.SecretTypeDockerConfigJson:
		return validateJSONKey(secret, corev1.DockerConfigJsonKey, data)
	case corev1.SecretTypeBasicAuth:
		// One may be missing, both may be empty.
		if !has(corev1.BasicAuthUsernameKey) && !has(corev1.BasicAuthPasswordKey) {
			return field.ErrorList{missing(corev1.BasicAuthUsernameKey), missing(corev1.BasicAuthPasswordKey)}
		}
	case corev1.SecretTypeSSHAuth:
		if len(secret.Data[corev1.SSHAuthPrivateKey]) == 0 {
			return field.ErrorList{missing(corev1.SSHAuthPrivateKey)}
		}
	case corev1.SecretTypeTLS:
		var errs field.ErrorList
		for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if !has(key) {
				errs = append(errs, missing(key))
			}
		}
		return errs
	}
	return nil
}

// validateJSONKey requires a key whose value is a JSON object. Its value is a secret and does not appear in errors.
func validateJSONKey(secret *corev1.Secret, key string, data *field.Path) field.ErrorList {
	value, ok := secret.Data[key]
	if !ok {
		return field.ErrorList{field.Required(data.Key(key), "")}
	}
	if err := json.Unmarshal(value, &map[string]any{}); err != nil {
		return field.ErrorList{field.Invalid(data.Key(key), "<secret contents redacted>", err.Error())}
	}
	return nil
}

func validateSecretUpdate(secret, old *corev1.Secret) field.ErrorList {
	errs := apimachineryvalidation.ValidateImmutableField(secret.Type, old.Type, field.NewPath("type"))
	if isTrue(old.Immutable) {
		errs = append(errs, validateFrozen(secret.Immutable, secret.Data, old.Data)...)
	}
	return errs
}

// warnOfSecret warns if a certificate does not match its key.
func warnOfSecret(secret, _ *corev1.Secret) []string {
	if secret.Type != corev1.SecretTypeTLS {
		return nil
	}
	if _, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]); err != nil {
		return []string{err.Error()}
	}
	return nil
}
