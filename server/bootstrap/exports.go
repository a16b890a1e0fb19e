package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
)

// ensureExports writes what root exports: schemas, identities, exports, and root's own bindings to them.
func (w *writer) ensureExports(ctx context.Context) error {
	models := newModels()
	var names []string
	schemas := map[string][]*apisv1alpha1.APIResourceSchema{}
	for _, r := range kinds.All.Exported() {
		wanted, err := schemaOf(models, r)
		if err != nil {
			return err
		}
		stored, err := ensure(ctx, w, apisv1alpha1.Resource("apiresourceschemas"), logicalcluster.Root, wanted, nil)
		if err != nil {
			return err
		}
		if !slices.Contains(names, r.Export) {
			names = append(names, r.Export)
		}
		schemas[r.Export] = append(schemas[r.Export], stored)
	}
	for _, name := range names {
		hash, err := w.ensureIdentity(ctx, name)
		if err != nil {
			return err
		}
		if err := w.ensureExport(ctx, name, hash, schemas[name]); err != nil {
			return err
		}
		if err := w.ensureBinding(ctx, name, hash, schemas[name]); err != nil {
			return err
		}
	}
	return nil
}

// ensureIdentity creates the key of an export once, and returns its hash.
func (w *writer) ensureIdentity(ctx context.Context, export string) (string, error) {
	secret, err := ensure(ctx, w, corev1.Resource("secrets"), logicalcluster.Root, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: apisv1alpha2.IdentitySecretNamespace, Name: export},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{apisv1alpha2.SecretKeyAPIExportIdentity: identity.NewKey()},
	}, nil)
	if err != nil {
		return "", err
	}
	key := secret.Data[apisv1alpha2.SecretKeyAPIExportIdentity]
	if len(key) == 0 {
		return "", fmt.Errorf("secret %s/%s in root, the identity of APIExport %s, has no data %q: restore it, or the objects of that export are lost",
			secret.Namespace, secret.Name, export, apisv1alpha2.SecretKeyAPIExportIdentity)
	}
	return identity.Hash(key), nil
}

// limitedExports are the exports of root with a maximal permission policy, whose RBAC is part of the policy of root.
func limitedExports() sets.Set[string] { return sets.New("tenancy.kcp.io", "topology.kcp.io") }

func (w *writer) ensureExport(ctx context.Context, name, hash string, schemas []*apisv1alpha1.APIResourceSchema) error {
	wanted := &apisv1alpha2.APIExport{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{logicalcluster.PathAnnotationKey: logicalcluster.Root.String()},
		},
		Spec: apisv1alpha2.APIExportSpec{Identity: &apisv1alpha2.Identity{
			SecretRef: &corev1.SecretReference{Namespace: apisv1alpha2.IdentitySecretNamespace, Name: name},
		}},
	}
	if limitedExports().Has(name) {
		wanted.Spec.MaximalPermissionPolicy = &apisv1alpha2.MaximalPermissionPolicy{Local: &apisv1alpha2.LocalAPIExportPolicy{}}
	}
	for _, s := range schemas {
		wanted.Spec.Resources = append(wanted.Spec.Resources, apisv1alpha2.ResourceSchema{
			Name:    s.Spec.Names.Plural,
			Group:   s.Spec.Group,
			Schema:  s.Name,
			Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
		})
	}
	identify := func(export *apisv1alpha2.APIExport) {
		if export.Status.IdentityHash == "" {
			export.Status.IdentityHash = hash
		}
		if export.Status.IdentityHash == hash {
			conditionsv1alpha1.MarkTrue(export, apisv1alpha2.APIExportIdentityValid)
		}
	}
	identify(wanted)
	stored, err := ensure(ctx, w, apisv1alpha2.Resource("apiexports"), logicalcluster.Root, wanted, func(export *apisv1alpha2.APIExport) {
		mergeMeta(export, wanted)
		export.Spec.Resources = wanted.Spec.Resources
		if export.Spec.Identity == nil {
			export.Spec.Identity = wanted.Spec.Identity
		}
		if export.Spec.MaximalPermissionPolicy == nil {
			export.Spec.MaximalPermissionPolicy = wanted.Spec.MaximalPermissionPolicy
		}
		identify(export)
	})
	if err != nil {
		return err
	}
	if stored.Status.IdentityHash != hash {
		return fmt.Errorf("APIExport %s of root has identity %s, but its secret contains %s: restore the old key", name, stored.Status.IdentityHash, hash)
	}
	return nil
}

// ensureBinding binds an export in root itself, where no name can conflict. The controller of bindings updates existing ones.
func (w *writer) ensureBinding(ctx context.Context, export, hash string, schemas []*apisv1alpha1.APIResourceSchema) error {
	path := logicalcluster.Root.Path()
	binding := &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name:        identity.DefaultBindingName(logicalcluster.Root, path, export),
			Annotations: map[string]string{logicalcluster.PathAnnotationKey: path.String()},
			Labels:      map[string]string{apisv1alpha2.InternalAPIBindingExportLabelKey: identity.ExportLabelValue(logicalcluster.Root, export)},
			Finalizers:  []string{apisv1alpha2.APIBindingFinalizer},
		},
		Spec: apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{
			Export: &apisv1alpha2.ExportBindingReference{Path: path.String(), Name: export},
		}},
		Status: apisv1alpha2.APIBindingStatus{
			APIExportClusterName: logicalcluster.Root.String(),
			Phase:                apisv1alpha2.APIBindingPhaseBound,
		},
	}
	var errs []error
	for _, s := range schemas {
		if s.UID == "" {
			errs = append(errs, fmt.Errorf("APIResourceSchema %s has no UID", s.Name))
		}
		binding.Status.BoundResources = append(binding.Status.BoundResources, apisv1alpha2.BoundAPIResource{
			Group:           s.Spec.Group,
			Resource:        s.Spec.Names.Plural,
			Schema:          apisv1alpha2.BoundAPIResourceSchema{Name: s.Name, UID: string(s.UID), IdentityHash: hash},
			StorageVersions: []string{s.Spec.Versions[0].Name},
		})
	}
	for _, condition := range []conditionsv1alpha1.ConditionType{
		apisv1alpha2.APIExportValid, apisv1alpha2.InitialBindingCompleted, apisv1alpha2.BindingUpToDate,
		apisv1alpha2.PermissionClaimsValid, apisv1alpha2.PermissionClaimsApplied, conditionsv1alpha1.ReadyCondition,
	} {
		conditionsv1alpha1.MarkTrue(binding, condition)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := ensure(ctx, w, apisv1alpha2.Resource("apibindings"), logicalcluster.Root, binding, nil)
	return err
}
