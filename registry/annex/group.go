package annex

import (
	"slices"

	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/annex/validation"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of the group. external returns the address of the server as users see it, without a slash at the end. The
// error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter, external func() string) (*group.Group, error) {
	return kinds.NewGroup(annexv1alpha1.GroupName, s, getter, hostBindingKind(), rolloutKind(), reportKind(), migrationKind(), workspaceAccessKind(), workspaceClassKind(),
		workspaceClaimKind(external))
}

// ServeReviews adds the reviews that explain permissions to g. They need the authorizer, which reads what g stores.
func ServeReviews(g *group.Group, explanations, whoCan rest.Storage) {
	served := g.Versions[annexv1alpha1.SchemeGroupVersion.Version]
	served["accessexplanations"], served["whocanreviews"] = explanations, whoCan
}

func hostBindingKind() *kinds.Kind[annexv1alpha1.HostBinding, *annexv1alpha1.HostBinding] {
	return &kinds.Kind[annexv1alpha1.HostBinding, *annexv1alpha1.HostBinding]{
		Prepare:              prepareHostBinding,
		ValidateCreate:       validation.ValidateHostBinding,
		ValidateUpdate:       validation.ValidateHostBindingUpdate,
		ValidateStatusUpdate: validation.ValidateHostBindingStatusUpdate,
	}
}

func rolloutKind() *kinds.Kind[annexv1alpha1.APIExportRollout, *annexv1alpha1.APIExportRollout] {
	return &kinds.Kind[annexv1alpha1.APIExportRollout, *annexv1alpha1.APIExportRollout]{
		ValidateCreate:       validation.ValidateAPIExportRollout,
		ValidateUpdate:       validation.ValidateAPIExportRolloutUpdate,
		ValidateStatusUpdate: validation.ValidateAPIExportRolloutStatusUpdate,
	}
}

func reportKind() *kinds.Kind[annexv1alpha1.APIChangeReport, *annexv1alpha1.APIChangeReport] {
	return &kinds.Kind[annexv1alpha1.APIChangeReport, *annexv1alpha1.APIChangeReport]{
		Validate:             validation.ValidateAPIChangeReport,
		ValidateUpdate:       validation.ValidateAPIChangeReportUpdate,
		ValidateStatusUpdate: validation.ValidateAPIChangeReportStatusUpdate,
	}
}

func migrationKind() *kinds.Kind[annexv1alpha1.APIStorageMigration, *annexv1alpha1.APIStorageMigration] {
	return &kinds.Kind[annexv1alpha1.APIStorageMigration, *annexv1alpha1.APIStorageMigration]{
		Validate:             validation.ValidateAPIStorageMigration,
		ValidateUpdate:       validation.ValidateAPIStorageMigrationUpdate,
		ValidateStatusUpdate: validation.ValidateAPIStorageMigrationStatusUpdate,
	}
}

// prepareHostBinding sets the finalizer. Set here, and not by the controller, it costs no write of its own.
func prepareHostBinding(binding, old *annexv1alpha1.HostBinding) {
	if old == nil && !slices.Contains(binding.Finalizers, annexv1alpha1.HostBindingFinalizer) {
		binding.Finalizers = append(slices.Clone(binding.Finalizers), annexv1alpha1.HostBindingFinalizer)
	}
}

func workspaceAccessKind() *kinds.Kind[annexv1alpha1.WorkspaceAccess, *annexv1alpha1.WorkspaceAccess] {
	return &kinds.Kind[annexv1alpha1.WorkspaceAccess, *annexv1alpha1.WorkspaceAccess]{
		Prepare:              prepareWorkspaceAccess,
		ValidateCreate:       validation.ValidateWorkspaceAccess,
		ValidateUpdate:       validation.ValidateWorkspaceAccessUpdate,
		ValidateStatusUpdate: validation.ValidateWorkspaceAccessStatusUpdate,
	}
}

// prepareWorkspaceAccess sets the finalizer, like prepareHostBinding.
func prepareWorkspaceAccess(access, old *annexv1alpha1.WorkspaceAccess) {
	if old == nil && !slices.Contains(access.Finalizers, annexv1alpha1.WorkspaceAccessFinalizer) {
		access.Finalizers = append(slices.Clone(access.Finalizers), annexv1alpha1.WorkspaceAccessFinalizer)
	}
}
