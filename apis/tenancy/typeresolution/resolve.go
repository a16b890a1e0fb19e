package typeresolution

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Type is a WorkspaceType as it is read: with the annotation kcp.io/cluster and, if the workspace has a path, kcp.io/path.
type Type = tenancyv1alpha1.WorkspaceType

// Getter returns the type called name in the workspace at path, which may also be a cluster name. It returns an error that
// apierrors.IsNotFound recognizes when there is none.
type Getter func(ctx context.Context, path logicalcluster.Path, name tenancyv1alpha1.WorkspaceTypeName) (*Type, error)

// Path returns the canonical path of the workspace that holds t, or the name of its cluster when it has no path.
func Path(t *Type) logicalcluster.Path {
	if path := t.Annotations[logicalcluster.PathAnnotationKey]; path != "" {
		return logicalcluster.Path(path)
	}
	return logicalcluster.From(t).Path()
}

// Qualified returns path and name of t, for example root:universal, as in annotation internal.tenancy.kcp.io/type.
func Qualified(t *Type) string { return Path(t).Join(t.Name).String() }

// Reference returns the reference to t in a Workspace of the type.
func Reference(t *Type) tenancyv1alpha1.WorkspaceTypeReference {
	return tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.WorkspaceTypeName(t.Name), Path: Path(t).String()}
}

// ParseQualified splits what Qualified makes; false when s is not of that form.
func ParseQualified(s string) (logicalcluster.Path, tenancyv1alpha1.WorkspaceTypeName, bool) {
	i := strings.LastIndex(s, logicalcluster.Separator)
	if i <= 0 || i == len(s)-1 {
		return "", "", false
	}
	return logicalcluster.Path(s[:i]), tenancyv1alpha1.WorkspaceTypeName(s[i+1:]), true
}

// SearchPath returns the workspaces in which the server looks for a type without a path, in this order: the workspace at path, each
// workspace above it, and root. No workspace is listed twice.
func SearchPath(path logicalcluster.Path) []logicalcluster.Path {
	var paths []logicalcluster.Path
	for p := path; !p.Empty(); p, _ = p.Split() {
		paths = append(paths, p)
	}
	if root := logicalcluster.Root.Path(); !slices.Contains(paths, root) {
		paths = append(paths, root)
	}
	return paths
}

// Aliases returns every type that a workspace of type t has: the types that t extends, each before the types that extend it, and t
// itself at the end. A type that is reached twice is listed once. Aliases returns an error if a type cannot be read, if types
// extend one another in a circle, or if too many of them have an initializer or a terminator.
func Aliases(ctx context.Context, t *Type, get Getter) ([]*Type, error) {
	r := resolution{get: get, done: map[string]bool{}}
	if err := r.add(ctx, t); err != nil {
		return nil, err
	}
	initializers, terminators := 0, len(Terminators(r.aliases))
	for _, alias := range r.aliases {
		if alias.Spec.Initializer {
			initializers++
		}
	}
	if initializers > maxStages || terminators > maxStages {
		return nil, fmt.Errorf("workspace type %s has %d initializers and %d terminators, including those of the types that it extends: at most %d of each are allowed",
			Qualified(t), initializers, terminators, maxStages)
	}
	return r.aliases, nil
}

// maxStages is how many initializers, and terminators, a workspace may have. Each is written into the objects of every workspace of the type,
// and not all of these count against the limits of a tenant.
const maxStages = 32

type resolution struct {
	get     Getter
	aliases []*Type
	done    map[string]bool
	open    []string // from the type asked for down to the one at hand
}

func (r *resolution) add(ctx context.Context, t *Type) error {
	id := Qualified(t)
	if i := slices.Index(r.open, id); i >= 0 {
		return fmt.Errorf("circular reference: %s", strings.Join(append(slices.Clone(r.open[i:]), id), " -> "))
	}
	if r.done[id] {
		return nil
	}
	r.open = append(r.open, id)
	for _, ref := range t.Spec.Extend.With {
		path := logicalcluster.Path(ref.Path)
		if path.Empty() {
			path = Path(t)
		}
		base, err := r.get(ctx, path, ref.Name)
		if err != nil {
			return fmt.Errorf("unable to find inherited workspace type %s: %w", path.Join(string(ref.Name)), err)
		}
		if err := r.add(ctx, base); err != nil {
			return err
		}
	}
	r.open = r.open[:len(r.open)-1]
	r.done[id] = true
	r.aliases = append(r.aliases, t)
	return nil
}

// InitializerOf returns the name of t in the initializers and terminators of a logical cluster: the cluster that contains t (not its
// path), and the name of t.
func InitializerOf(t *Type) string {
	return logicalcluster.From(t).String() + logicalcluster.Separator + t.Name
}

// SystemAPIBindingsInitializer is the initializer that makes default bindings.
const SystemAPIBindingsInitializer corev1alpha1.LogicalClusterInitializer = "system:apibindings"

// Initializers returns the initializers of a new workspace with these aliases, in their order. If there are default
// bindings, the last one is the initializer that creates them. A server that has already created the bindings omits it.
func Initializers(aliases []*Type) []corev1alpha1.LogicalClusterInitializer {
	var initializers []corev1alpha1.LogicalClusterInitializer
	bindings := false
	for _, t := range aliases {
		if t.Spec.Initializer {
			initializers = append(initializers, corev1alpha1.LogicalClusterInitializer(InitializerOf(t)))
		}
		bindings = bindings || len(t.Spec.DefaultAPIBindings) > 0
	}
	if bindings {
		initializers = append(initializers, SystemAPIBindingsInitializer)
	}
	return initializers
}

// Terminators returns the terminators of a new workspace with these aliases, in their order.
func Terminators(aliases []*Type) []corev1alpha1.LogicalClusterTerminator {
	var terminators []corev1alpha1.LogicalClusterTerminator
	for _, t := range aliases {
		if t.Spec.Terminator {
			terminators = append(terminators, corev1alpha1.LogicalClusterTerminator(InitializerOf(t)))
		}
	}
	return terminators
}
