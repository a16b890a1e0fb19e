package v1alpha1

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// Names of WorkspaceTypes with a meaning of their own.
const (
	// AnyWorkspaceTypeName is reserved.
	AnyWorkspaceTypeName WorkspaceTypeName = "any"
	// SystemWorkspaceTypeName is reserved.
	SystemWorkspaceTypeName WorkspaceTypeName = "system"
	// RootWorkspaceTypeName is the type of the root workspace, and may exist only there.
	RootWorkspaceTypeName WorkspaceTypeName = "root"
	// UniversalWorkspaceTypeName is the type of workspaces for general use. It is in root.
	UniversalWorkspaceTypeName WorkspaceTypeName = "universal"
	// HomeWorkspaceTypeName is the type of the home workspaces of users. It is in root.
	HomeWorkspaceTypeName WorkspaceTypeName = "home"
)

// DefaultExportClustersAnnotationKey contains the logical clusters of the default APIBindings of a WorkspaceType, as JSON. Admission
// writes it after it has checked the permission to bind.
const DefaultExportClustersAnnotationKey = "internal.annex.dev/default-export-clusters"

const (
	// WorkspaceTypeVirtualWorkspaceURLsReady says whether status.virtualWorkspaces is complete.
	WorkspaceTypeVirtualWorkspaceURLsReady conditionsv1alpha1.ConditionType = "VirtualWorkspaceURLsReady"
	// ErrorGeneratingURLsReason means that the addresses could not be generated.
	ErrorGeneratingURLsReason = "ErrorGeneratingURLs"
)

// WorkspaceType defines a type of workspaces: the types that it extends, the APIs that are bound in new workspaces, and the types
// that are allowed above and below them in the tree.
//
// +genclient
// +genclient:nonNamespaced
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceType struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata. The names any and system are reserved.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`
	// spec defines the workspaces of this type.
	// +optional
	Spec WorkspaceTypeSpec `json:"spec,omitempty"`
	// status is the observed state.
	// +optional
	Status WorkspaceTypeStatus `json:"status,omitempty"`
}

// WorkspaceTypeSpec defines the workspaces of a type.
type WorkspaceTypeSpec struct {
	// initializer makes new workspaces wait for a controller before they are ready. Such a controller needs the verb initialize on the type,
	// and works at the address of type initializing in the status.
	// +optional
	Initializer bool `json:"initializer,omitempty"`
	// terminator makes the deletion of workspaces wait for a controller. Such a controller needs the verb terminate on the type, and works at
	// the address of type terminating in the status.
	// +optional
	Terminator bool `json:"terminator,omitempty"`
	// extend lists the types that this type extends. A workspace of this type also has those types.
	// +optional
	Extend WorkspaceTypeExtension `json:"extend,omitempty"`
	// additionalWorkspaceLabels are added to new Workspaces of this type, in addition to the labels that the user sets.
	// +optional
	AdditionalWorkspaceLabels map[string]string `json:"additionalWorkspaceLabels,omitempty"`
	// defaultChildWorkspaceType is the type of a Workspace that is created without a type in a workspace of this type. It is not inherited.
	// +optional
	// +default={"name": "universal", "path": "root"}
	DefaultChildWorkspaceType *WorkspaceTypeReference `json:"defaultChildWorkspaceType,omitempty"`
	// limitAllowedChildren limits the types of the workspaces directly below. If not set, every type is allowed.
	// +optional
	LimitAllowedChildren *WorkspaceTypeSelector `json:"limitAllowedChildren,omitempty"`
	// limitAllowedParents limits the types of the workspace directly above. If not set, every type is allowed.
	// +optional
	LimitAllowedParents *WorkspaceTypeSelector `json:"limitAllowedParents,omitempty"`
	// defaultAPIBindings are the APIExports that are bound in new workspaces of this type. To add one, a user needs permission to bind it.
	// +optional
	// +listType=atomic
	DefaultAPIBindings []APIExportReference `json:"defaultAPIBindings,omitempty"`
	// defaultAPIBindingLifecycle says whether default bindings are created once (InitializeOnly, the default) or maintained for
	// the lifetime of the workspace (Maintain). It applies to the bindings that this type lists, in existing workspaces too.
	// +optional
	DefaultAPIBindingLifecycle *APIBindingLifecycleMode `json:"defaultAPIBindingLifecycle,omitempty"`
	// authenticationConfigurations name WorkspaceAuthenticationConfigurations in the workspace of this type. Workspaces of this type, those that
	// exist too, accept the tokens of their issuers.
	// +optional
	// +listType=map
	// +listMapKey=name
	AuthenticationConfigurations []AuthenticationConfigurationReference `json:"authenticationConfigurations,omitempty"`
	// initializerPermissions are what the initializer may do in a workspace. If not set, it acts as the user who created the workspace.
	// +optional
	// +listType=atomic
	InitializerPermissions []rbacv1.PolicyRule `json:"initializerPermissions,omitempty"`
	// terminatorPermissions are what the terminator may do in a workspace. If not set, it acts as the user who created the workspace.
	// +optional
	// +listType=atomic
	TerminatorPermissions []rbacv1.PolicyRule `json:"terminatorPermissions,omitempty"`
}

// APIBindingLifecycleMode says how long default bindings are maintained.
// +enum
type APIBindingLifecycleMode string

const (
	// APIBindingLifecycleModeInitializeOnly creates default bindings once; users may change or delete them afterwards.
	APIBindingLifecycleModeInitializeOnly APIBindingLifecycleMode = "InitializeOnly"
	// APIBindingLifecycleModeMaintain keeps default bindings equal to those of the type.
	APIBindingLifecycleModeMaintain APIBindingLifecycleMode = "Maintain"
)

// WorkspaceTypeExtension lists the types that a type extends.
type WorkspaceTypeExtension struct {
	// with are the types to extend directly. The types that they extend are included.
	// +optional
	// +listType=atomic
	With []WorkspaceTypeReference `json:"with,omitempty"`
}

// WorkspaceTypeSelector selects types: none at all, or those in a list. Exactly one of the fields is set.
type WorkspaceTypeSelector struct {
	// none selects no type.
	// +optional
	None bool `json:"none,omitempty"`
	// types selects the types in the list, and those that extend one of them.
	// +optional
	// +listType=atomic
	Types []WorkspaceTypeReference `json:"types,omitempty"`
}

// APIExportReference names an APIExport.
type APIExportReference struct {
	// path is the path or the name of the workspace that contains the APIExport. If not set, it is the workspace of this object.
	// +optional
	Path string `json:"path,omitempty"`
	// export is the name of the APIExport.
	// +required
	Export string `json:"export"`
}

// AuthenticationConfigurationReference names a WorkspaceAuthenticationConfiguration in the workspace that contains the WorkspaceType.
type AuthenticationConfigurationReference struct {
	// name is the name of the WorkspaceAuthenticationConfiguration.
	// +required
	Name string `json:"name"`
}

// WorkspaceTypeStatus is the observed state of a type.
type WorkspaceTypeStatus struct {
	// conditions are the latest observations.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions conditionsv1alpha1.Conditions `json:"conditions,omitempty"`
	// virtualWorkspaces are the addresses at which the initializers and terminators of this type work.
	// +optional
	// +listType=atomic
	VirtualWorkspaces []VirtualWorkspace `json:"virtualWorkspaces,omitempty"`
}

// VirtualWorkspaceType is the purpose of a virtual workspace.
// +enum
type VirtualWorkspaceType string

// Names of the virtual workspaces, which are segments of their addresses.
const (
	// InitializingWorkspaces is the virtual workspace for initializers.
	InitializingWorkspaces = "initializingworkspaces"
	// TerminatingWorkspaces is the virtual workspace for terminators.
	TerminatingWorkspaces = "terminatingworkspaces"
)

const (
	// VirtualWorkspaceTypeInitializing is the type of the virtual workspace for initializers.
	VirtualWorkspaceTypeInitializing VirtualWorkspaceType = "initializing"
	// VirtualWorkspaceTypeTerminating is the type of the virtual workspace for terminators.
	VirtualWorkspaceTypeTerminating VirtualWorkspaceType = "terminating"
)

// VirtualWorkspace is the address of a virtual workspace.
type VirtualWorkspace struct {
	// url is the address.
	// +required
	URL string `json:"url"`
	// type is the purpose of the virtual workspace: initializing or terminating.
	// +optional
	Type VirtualWorkspaceType `json:"type,omitempty"`
}

// GetConditions returns the conditions of the status.
func (in *WorkspaceType) GetConditions() conditionsv1alpha1.Conditions { return in.Status.Conditions }

// SetConditions replaces the conditions of the status.
func (in *WorkspaceType) SetConditions(c conditionsv1alpha1.Conditions) { in.Status.Conditions = c }

// WorkspaceTypeList is a list of WorkspaceTypes.
//
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object
type WorkspaceTypeList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []WorkspaceType `json:"items"`
}
