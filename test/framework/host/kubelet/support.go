package kubelet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// supported are the fields of a pod's spec that this node follows. "*" is every
// key or item below. What is not here and is set is refused, so that a field
// that Kubernetes gets next year is refused as well.
//
// Some that say how much or how well, not what, are followed in part:
// resources and size limits are seen by the downward API and not enforced.
const supported = `
activeDeadlineSeconds
affinity.*
automountServiceAccountToken
dnsPolicy
enableServiceLinks
hostname
imagePullSecrets.*
nodeName
nodeSelector.*
preemptionPolicy
priority
priorityClassName
restartPolicy
schedulerName
securityContext.fsGroup
securityContext.fsGroupChangePolicy
securityContext.runAsGroup
securityContext.runAsNonRoot
securityContext.runAsUser
securityContext.seccompProfile.type
serviceAccount
serviceAccountName
subdomain
terminationGracePeriodSeconds
tolerations.*
topologySpreadConstraints.*
volumes.*.name
volumes.*.configMap.*
volumes.*.downwardAPI.*
volumes.*.emptyDir.*
volumes.*.persistentVolumeClaim.*
volumes.*.secret.*
volumes.*.projected.defaultMode
volumes.*.projected.sources.*.configMap.*
volumes.*.projected.sources.*.downwardAPI.*
volumes.*.projected.sources.*.secret.*
volumes.*.projected.sources.*.serviceAccountToken.*
`

// supportedOfContainer is the same for containers and init containers.
const supportedOfContainer = `
args.*
command.*
env.*.name
env.*.value
env.*.valueFrom.configMapKeyRef.*
env.*.valueFrom.fieldRef.*
env.*.valueFrom.resourceFieldRef.*
env.*.valueFrom.secretKeyRef.*
envFrom.*
image
imagePullPolicy
lifecycle.preStop.exec.*
lifecycle.preStop.sleep.*
livenessProbe.*
name
ports.*.containerPort
ports.*.name
ports.*.protocol
readinessProbe.*
resources.limits.*
resources.requests.*
securityContext.allowPrivilegeEscalation
securityContext.capabilities.*
securityContext.readOnlyRootFilesystem
securityContext.runAsGroup
securityContext.runAsNonRoot
securityContext.runAsUser
securityContext.seccompProfile.type
startupProbe.*
terminationMessagePath
terminationMessagePolicy
volumeMounts.*.mountPath
volumeMounts.*.name
volumeMounts.*.readOnly
volumeMounts.*.subPath
volumeMounts.*.subPathExpr
workingDir
`

// unsupported returns the fields of a pod that this node cannot follow, such as
// "spec.hostNetwork".
func unsupported(pod *corev1.Pod) ([]string, error) {
	data, err := json.Marshal(pod.Spec)
	if err != nil {
		return nil, fmt.Errorf("encoding the pod: %w", err)
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("decoding the pod: %w", err)
	}
	var found []string
	for _, key := range []string{"containers", "initContainers"} {
		check(spec[key], "", newPattern("*", supportedOfContainer), "spec."+key, &found)
		delete(spec, key)
	}
	check(spec, "", newPattern("", supported), "spec", &found)
	found = append(found, unsupportedValues(pod)...)
	slices.Sort(found)
	return slices.Compact(found), nil
}

// unsupportedValues are fields that are followed for some values only.
func unsupportedValues(pod *corev1.Pod) []string {
	var found []string
	if pod.Spec.DNSPolicy != corev1.DNSClusterFirst && pod.Spec.DNSPolicy != corev1.DNSDefault {
		found = append(found, "spec.dnsPolicy: "+string(pod.Spec.DNSPolicy))
	}
	seccomp := func(path string, profile *corev1.SeccompProfile) {
		if profile != nil && profile.Type == corev1.SeccompProfileTypeLocalhost {
			found = append(found, path+".securityContext.seccompProfile.type: Localhost")
		}
	}
	if pod.Spec.SecurityContext != nil {
		seccomp("spec", pod.Spec.SecurityContext.SeccompProfile)
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		path := "spec.containers[" + c.Name + "]"
		if c.SecurityContext != nil {
			seccomp(path, c.SecurityContext.SeccompProfile)
		}
		for name, probe := range map[string]*corev1.Probe{"startupProbe": c.StartupProbe, "livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe} {
			if probe != nil && probe.GRPC != nil {
				found = append(found, path+"."+name+".grpc")
			}
		}
		for _, port := range c.Ports {
			if port.Protocol == corev1.ProtocolSCTP {
				found = append(found, path+".ports.protocol: SCTP")
			}
		}
	}
	return found
}

type pattern map[string]bool

func newPattern(prefix, lines string) pattern {
	p := pattern{}
	for line := range strings.FieldsSeq(lines) {
		if prefix != "" {
			line = prefix + "." + line
		}
		p[line] = true
	}
	return p
}

// check walks down as long as the pattern has something below, and reports the
// first step that leads nowhere.
func check(value any, at string, p pattern, path string, found *[]string) {
	if at != "" && (p[at] || p[at+".*"]) {
		return
	}
	join := func(step string) string {
		if at == "" {
			return step
		}
		return at + "." + step
	}
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			check(v[key], join(key), p, path+"."+key, found)
		}
	case []any:
		for i, item := range v {
			check(item, join("*"), p, fmt.Sprintf("%s[%d]", path, i), found)
		}
	case nil:
	default:
		// false, 0 and "" say what is the case anyway.
		if v != false && v != 0.0 && v != "" {
			*found = append(*found, path)
		}
	}
}
