package kubelet

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func podOf(t *testing.T, manifest string) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(manifest), &p.Spec); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestUnsupported(t *testing.T) {
	for manifest, want := range map[string]string{
		`{dnsPolicy: ClusterFirst, hostNetwork: false, containers: [{name: c, image: i}]}`:                                                                                      "",
		`{dnsPolicy: ClusterFirst, hostPID: true, shareProcessNamespace: true, containers: [{name: c}]}`:                                                                        "spec.hostPID spec.shareProcessNamespace",
		`{dnsPolicy: None, containers: [{name: c}]}`:                                                                                                                            "spec.dnsPolicy: None",
		`{dnsPolicy: ClusterFirst, containers: [{name: c, ports: [{containerPort: 1, hostPort: 2}], stdin: true}]}`:                                                             "spec.containers[0].ports[0].hostPort spec.containers[0].stdin",
		`{dnsPolicy: ClusterFirst, containers: [{name: c, lifecycle: {postStart: {exec: {command: [x]}}}}]}`:                                                                    "spec.containers[0].lifecycle.postStart.exec.command[0]",
		`{dnsPolicy: ClusterFirst, containers: [{name: c, livenessProbe: {grpc: {port: 1}}}]}`:                                                                                  "spec.containers[c].livenessProbe.grpc",
		`{dnsPolicy: ClusterFirst, securityContext: {seccompProfile: {type: Localhost, localhostProfile: x}}, containers: [{name: c}]}`:                                         "spec.securityContext.seccompProfile.localhostProfile spec.securityContext.seccompProfile.type: Localhost",
		`{dnsPolicy: ClusterFirst, volumes: [{name: v, csi: {driver: d}}], containers: [{name: c, volumeMounts: [{name: v, mountPath: /v, mountPropagation: Bidirectional}]}]}`: "spec.containers[0].volumeMounts[0].mountPropagation spec.volumes[0].csi.driver",
		`{dnsPolicy: ClusterFirst, resourceClaims: [{name: gpu}], containers: [{name: c, resources: {claims: [{name: gpu}]}}]}`:                                                 "spec.containers[0].resources.claims[0].name spec.resourceClaims[0].name",
	} {
		got, err := unsupported(podOf(t, manifest))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("of %s these are refused: %q, want %q", manifest, got, want)
		}
	}
}
