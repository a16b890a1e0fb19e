package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// InitializerLabel returns the label of a logical cluster, and of its Workspace, that initializer has not finished: the value is the hash of
// the name in hex, and the key ends with as much of it as fits into 63 characters. Names themselves may be too long for labels.
func InitializerLabel(initializer corev1alpha1.LogicalClusterInitializer) (key, value string) {
	return label(tenancyv1alpha1.WorkspaceInitializerLabelPrefix, string(initializer))
}

// TerminatorLabel returns the label for an unfinished terminator, which is made in the same way.
func TerminatorLabel(terminator corev1alpha1.LogicalClusterTerminator) (key, value string) {
	return label(tenancyv1alpha1.WorkspaceTerminatorLabelPrefix, string(terminator))
}

func label(prefix, name string) (key, value string) {
	sum := sha256.Sum224([]byte(name))
	value = hex.EncodeToString(sum[:])
	return prefix + value[:validation.LabelValueMaxLength-len(prefix)], value
}

// Labels returns labels with those that repeat a status, and without others of their kind, whoever set them. The map given is not changed, and
// returned if it is right as it is.
func Labels(labels map[string]string, phase corev1alpha1.LogicalClusterPhaseType, initializers []corev1alpha1.LogicalClusterInitializer,
	terminators []corev1alpha1.LogicalClusterTerminator) map[string]string {
	wanted := make(map[string]string, 1+len(initializers)+len(terminators))
	wanted[tenancyv1alpha1.WorkspacePhaseLabel] = string(phase)
	for _, initializer := range initializers {
		key, value := InitializerLabel(initializer)
		wanted[key] = value
	}
	for _, terminator := range terminators {
		key, value := TerminatorLabel(terminator)
		wanted[key] = value
	}
	right := 0
	for key, value := range labels {
		if !repeats(key) {
			continue
		}
		if wanted[key] != value {
			right = -1
			break
		}
		right++
	}
	if right == len(wanted) {
		return labels
	}
	fresh := maps.Clone(labels)
	maps.DeleteFunc(fresh, func(key, _ string) bool { return repeats(key) })
	if fresh == nil {
		return wanted
	}
	maps.Copy(fresh, wanted)
	return fresh
}

// repeats reports whether the label called key repeats a status.
func repeats(key string) bool {
	return key == tenancyv1alpha1.WorkspacePhaseLabel || strings.HasPrefix(key, tenancyv1alpha1.WorkspaceInitializerLabelPrefix) ||
		strings.HasPrefix(key, tenancyv1alpha1.WorkspaceTerminatorLabelPrefix)
}
