package kubelet_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const deployment = `
metadata: {name: tool}
spec:
  replicas: 2
  selector: {matchLabels: {app: tool}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: tool}, annotations: {note: hello}}
    spec:
      terminationGracePeriodSeconds: 10
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: tool
        image: tool:1.0.0
        args: [serve, "0.0.0.0:$(PORT)"]
        ports: [{name: https, containerPort: 6443}]
        envFrom: [{prefix: ALL_, configMapRef: {name: settings}}, {secretRef: {name: missing, optional: true}}]
        env:
        - {name: PORT, value: "6443"}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: secret, key: password}}}
        - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
        - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        - {name: TEXT, value: "$(COLOR) $$(COLOR) $(NOBODY)"}
        resources: {limits: {memory: 100Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        readinessProbe: {httpGet: {scheme: HTTPS, path: /healthz, port: https}, periodSeconds: 1}
        volumeMounts:
        - {name: secret, mountPath: /secret}
        - {name: settings, mountPath: /settings/color, subPath: color}
        - {name: scratch, mountPath: /scratch}
        - {name: about, mountPath: /about}
      volumes:
      - {name: secret, secret: {secretName: secret, items: [{key: password, path: deep/password}]}}
      - {name: settings, configMap: {name: settings}}
      - {name: scratch, emptyDir: {}}
      - {name: about, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
`

func TestDeployment(t *testing.T) {
	ns := namespace(t, "deployment", map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	// The pods wait for what they need.
	apply(t, "/apis/apps/v1/namespaces/deployment/deployments", deployment)
	apply(t, "/api/v1/namespaces/deployment/services", `{metadata: {name: tool}, spec: {selector: {app: tool}, ports: [{name: https, port: 443, targetPort: https}]}}`)
	eventually(t, "the missing Secret is reported", func() error {
		events, err := client.CoreV1().Events(ns).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.Reason == "FailedMount" && strings.Contains(e.Message, `secret "secret" not found`)
		}) {
			return fmt.Errorf("events are %v", events.Items)
		}
		return nil
	})
	apply(t, "/api/v1/namespaces/deployment/secrets", `{metadata: {name: secret}, stringData: {password: sesame}}`)
	apply(t, "/api/v1/namespaces/deployment/configmaps", `{metadata: {name: settings}, data: {color: red}}`)

	// Both pods listen on port 6443 of all their addresses.
	hosts := map[string]bool{}
	eventually(t, "both pods answer at the Service", func() error {
		name, err := ask(t, ns, "services", "tool:443", "/hostname")
		if err != nil {
			return err
		}
		if hosts[name] = true; len(hosts) < 2 {
			return fmt.Errorf("only %v answered", hosts)
		}
		return nil
	})
	for path, want := range map[string]string{
		"/env?name=PASSWORD": "sesame", "/env?name=COLOR": "red", "/env?name=ALL_color": "red", "/env?name=NOTE": "hello",
		"/env?name=MEMORY": "100", "/env?name=TEXT": "red $(COLOR) $(NOBODY)", "/env?name=FROM": "image", "/env?name=TOOL_SERVICE_PORT_HTTPS": "443",
		"/args": "[serve 0.0.0.0:6443]", "/id": "65532:65532",
		"/read?path=/secret/deep/password": "sesame", "/read?path=/settings/color": "red", "/read?path=/about/labels": `app="tool"`,
		"/write?path=/scratch/file&text=x":                 "",
		"/dial?address=tool.deployment:443":                "connected", // by name, to a Service
		"/dial?address=" + outside:                         "connected",
		"/whoami":                                          "system:serviceaccount:deployment:default",
		"/read?path=/proc/sys/kernel/random/entropy_avail": "256\n",
	} {
		got := mustAsk(t, ns, "services", "tool:443", path)
		if labels, found := strings.CutPrefix(got, want+"\n"); found && strings.HasPrefix(labels, "pod-template-hash=") {
			continue
		}
		if got != want {
			t.Errorf("%s answers %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]string{
		"/write?path=/tmp/file&text=x":         "read-only file system",
		"/write?path=/secret/deep/file&text=x": "read-only file system",
		"/dial?address=127.0.0.1:1":            "connection refused",
		"/dial?address=nobody.deployment:443":  "no such host",
		"/read?path=/usr/bin/env":              "no such file",
	} {
		if got, err := ask(t, ns, "services", "tool:443", path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s answers %q, %v, want an error with %q", path, got, err, want)
		}
	}

	t.Run("a changed Secret reaches the files of the running pods", func(t *testing.T) {
		patch := []byte(`{"stringData": {"password": "open"}}`)
		if _, err := client.CoreV1().Secrets(ns).Patch(t.Context(), "secret", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		for name := range hosts {
			eventually(t, "the file of "+name+" is new", func() error {
				if got, err := ask(t, ns, "pods", name+":6443", "/read?path=/secret/deep/password"); err != nil || got != "open" {
					return fmt.Errorf("it is %q, %w", got, err)
				}
				return nil
			})
			if got := mustAsk(t, ns, "pods", name+":6443", "/env?name=PASSWORD"); got != "sesame" {
				t.Errorf("the variable of a running pod is %q, want the old one", got)
			}
		}
	})

	t.Run("the aggregator reaches the pods by the Service, and a rolling update breaks nothing", func(t *testing.T) {
		apply(t, "/apis/apiregistration.k8s.io/v1/apiservices", `{metadata: {name: v1.tool.example.com}, spec: {
			group: tool.example.com, version: v1, groupPriorityMinimum: 1000, versionPriority: 10,
			insecureSkipTLSVerify: true, service: {namespace: deployment, name: tool, port: 443}}}`)
		get := func() error {
			return client.Discovery().RESTClient().Get().AbsPath("/apis/tool.example.com/v1/things").Do(t.Context()).Error()
		}
		eventually(t, "the group is served", get)
		patch := []byte(`{"spec": {"template": {"metadata": {"annotations": {"note": "again"}}, "spec": {"containers": [{"name": "tool", "image": "tool:2.0.0"}]}}}}`)
		if _, err := client.AppsV1().Deployments(ns).Patch(t.Context(), "tool", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the update is complete", func() error {
			if err := get(); err != nil {
				t.Logf("during the update: %v", err)
			}
			d, err := client.AppsV1().Deployments(ns).Get(t.Context(), "tool", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if s := d.Status; s.ObservedGeneration != d.Generation || s.UpdatedReplicas != 2 || s.Replicas != 2 || s.ReadyReplicas != 2 {
				return fmt.Errorf("status is %+v", s)
			}
			return nil
		})
		if got := mustAsk(t, ns, "services", "tool:443", "/env?name=NOTE"); got != "again" {
			t.Errorf("after the update the note is %q", got)
		}
		eventually(t, "the old pods are gone", func() error {
			pods, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(pods.Items) != 2 {
				return fmt.Errorf("there are %d pods, %w", len(pods.Items), err)
			}
			return nil
		})
	})

	t.Run("readiness decides who is asked", func(t *testing.T) {
		broken := mustAsk(t, ns, "services", "tool:443", "/hostname")
		mustAsk(t, ns, "pods", broken+":6443", "/break")
		eventually(t, "the pod is no longer asked", func() error {
			for range 4 {
				if name, err := ask(t, ns, "services", "tool:443", "/hostname"); err != nil || name == broken {
					return fmt.Errorf("%q answers, %w", name, err)
				}
			}
			return nil
		})
		if got := pod(t, ns, broken).Status.ContainerStatuses[0]; got.RestartCount != 0 || got.State.Running == nil {
			t.Errorf("the pod that is not ready is %+v, want it running", got)
		}
	})
}

func TestStatefulSet_KeepsItsData(t *testing.T) {
	ns := namespace(t, "stateful", nil)
	apply(t, "/api/v1/namespaces/stateful/services", `{metadata: {name: db}, spec: {clusterIP: None, selector: {app: db}, ports: [{name: https, port: 6443}]}}`)
	manifest := `
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      securityContext: {fsGroup: 65532}
      containers:
      - {name: db, image: tool, args: [serve, ":6443"], volumeMounts: [{name: data, mountPath: /data}], readinessProbe: {tcpSocket: {port: 6443}, periodSeconds: 1}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
`
	apply(t, "/apis/apps/v1/namespaces/stateful/statefulsets", manifest)
	waitReady(t, ns, "db-0")
	mustAsk(t, ns, "pods", "db-0:6443", "/write?path=/data/file&text=kept")
	if got := mustAsk(t, ns, "pods", "db-0:6443", "/dial?address=db-0.db.stateful.svc.cluster.local:6443"); got != "connected" {
		t.Errorf("by its name in the headless Service the pod answers %q", got)
	}

	first := pod(t, ns, "db-0").UID
	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "db-0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a new pod", func() error {
		p, err := client.CoreV1().Pods(ns).Get(t.Context(), "db-0", metav1.GetOptions{})
		if err == nil && p.UID == first {
			err = fmt.Errorf("it is the old one: %+v", p.Status)
		}
		return err
	})
	waitReady(t, ns, "db-0")
	if got := mustAsk(t, ns, "pods", "db-0:6443", "/read?path=/data/file"); got != "kept" {
		t.Errorf("after the deletion of the pod the file has %q", got)
	}

	foreground := metav1.DeletePropagationForeground
	if err := client.AppsV1().StatefulSets(ns).Delete(t.Context(), "db", metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the StatefulSet is gone", func() error {
		if _, err := client.CoreV1().Pods(ns).Get(t.Context(), "db-0", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the pod is there: %w", err)
		}
		if _, err := client.AppsV1().StatefulSets(ns).Get(t.Context(), "db", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
	apply(t, "/apis/apps/v1/namespaces/stateful/statefulsets", manifest)
	waitReady(t, ns, "db-0")
	if got := mustAsk(t, ns, "pods", "db-0:6443", "/read?path=/data/file"); got != "kept" {
		t.Errorf("after the installation anew the file has %q", got)
	}

	claim, err := client.CoreV1().PersistentVolumeClaims(ns).Get(t.Context(), "data-db-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	volume, err := client.CoreV1().PersistentVolumes().Get(t.Context(), claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CoreV1().Namespaces().Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the volume and its data are gone with the claim", func() error {
		if _, err := client.CoreV1().PersistentVolumes().Get(t.Context(), volume.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the volume is there: %w", err)
		}
		if _, err := os.Stat(volume.Spec.HostPath.Path); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the directory is there: %w", err)
		}
		return nil
	})
}

func TestJob(t *testing.T) {
	ns := namespace(t, "job", nil)
	job := func(name, code string) string {
		return fmt.Sprintf(`{metadata: {name: %s}, spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never,
			initContainers: [{name: first, image: tool, args: [exit, "0"]}],
			containers: [{name: main, image: tool, args: [exit, %q], terminationMessagePolicy: FallbackToLogsOnError}]}}}}`, name, code)
	}
	apply(t, "/apis/batch/v1/namespaces/job/jobs", job("good", "0"))
	apply(t, "/apis/batch/v1/namespaces/job/jobs", job("bad", "1"))
	eventually(t, "one succeeds and one fails", func() error {
		good, err := client.BatchV1().Jobs(ns).Get(t.Context(), "good", metav1.GetOptions{})
		if err != nil {
			return err
		}
		bad, err := client.BatchV1().Jobs(ns).Get(t.Context(), "bad", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if good.Status.Succeeded != 1 || bad.Status.Failed != 1 {
			return fmt.Errorf("the good one is %+v, the bad one %+v", good.Status, bad.Status)
		}
		return nil
	})
	pods, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=bad"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("the pods are %v, %v", pods, err)
	}
	ended := pods.Items[0].Status.ContainerStatuses[0].State.Terminated
	if ended == nil || ended.ExitCode != 3 || ended.Reason != "Error" || !strings.Contains(ended.Message, "with code 1") {
		t.Errorf("the container is %+v, want exit code 3, an Error, with its last lines", ended)
	}
	if log, err := node.Log(ns, pods.Items[0].Name, "main"); err != nil || log != "about to end\nwith code 1\n" {
		t.Errorf("the log is %q, %v", log, err)
	}
	lines := int64(1)
	log, err := client.CoreV1().Pods(ns).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{Container: "main", TailLines: &lines, Follow: true}).DoRaw(t.Context())
	if err != nil || string(log) != "with code 1\n" {
		t.Errorf("the last line by way of the host is %q, %v", log, err)
	}
}

func TestPod_IsRestarted(t *testing.T) {
	ns := namespace(t, "restart", nil)
	apply(t, "/api/v1/namespaces/restart/pods", `
metadata: {name: sick}
spec:
  containers:
  - name: sick
    image: tool
    args: [serve, ":6443"]
    startupProbe: {exec: {command: [/tool, check, /tool]}, periodSeconds: 1, timeoutSeconds: 5}
    livenessProbe: {httpGet: {scheme: HTTPS, path: /healthz, port: 6443}, periodSeconds: 1, failureThreshold: 2, timeoutSeconds: 30}
    readinessProbe: {tcpSocket: {port: 6443}, periodSeconds: 1}
`)
	apply(t, "/api/v1/namespaces/restart/pods", `{metadata: {name: crashing}, spec: {containers: [{name: c, image: tool, args: [exit, "1"]}]}}`)
	waitReady(t, ns, "sick")
	mustAsk(t, ns, "pods", "sick:6443", "/break")
	eventually(t, "the sick container was restarted in order", func() error {
		s := pod(t, ns, "sick").Status.ContainerStatuses[0]
		if s.RestartCount < 1 || s.State.Running == nil || s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.ExitCode != 0 {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
	restarts := pod(t, ns, "sick").Status.ContainerStatuses[0].RestartCount
	eventually(t, "the container runs, and is killed", func() error { return node.Kill(ns, "sick", "sick") })
	eventually(t, "what was killed is restarted", func() error {
		s := pod(t, ns, "sick").Status.ContainerStatuses[0]
		if s.RestartCount <= restarts || s.State.Running == nil || s.LastTerminationState.Terminated == nil || s.LastTerminationState.Terminated.ExitCode != 137 {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
	if err := node.Kill(ns, "sick", "other"); err == nil {
		t.Error("a container was killed that the pod does not have")
	}
	eventually(t, "the other one waits longer and longer", func() error {
		s := pod(t, ns, "crashing").Status.ContainerStatuses[0]
		if s.RestartCount < 2 || s.State.Waiting == nil || s.State.Waiting.Reason != "CrashLoopBackOff" || s.LastTerminationState.Terminated.ExitCode != 3 {
			return fmt.Errorf("it is %+v", s)
		}
		return nil
	})
}

func TestPod_RefusesWhatItCannotDo(t *testing.T) {
	ns := namespace(t, "refused", nil)
	for name, test := range map[string]struct{ spec, reason, want string }{
		"host-pid":     {`{restartPolicy: Never, hostPID: true, containers: [{name: c, image: tool}]}`, "Unsupported", "spec.hostPID"},
		"host-network": {`{hostNetwork: true, containers: [{name: c, image: tool}]}`, "Unsupported", "spec.hostNetwork"},
		"host-path":    {`{volumes: [{name: v, hostPath: {path: /}}], containers: [{name: c, image: tool}]}`, "Unsupported", "spec.volumes[0].hostPath.path"},
		"privileged":   {`{containers: [{name: c, image: tool, securityContext: {privileged: true}}]}`, "Unsupported", "spec.containers[0].securityContext.privileged"},
		"sidecar":      {`{initContainers: [{name: s, image: tool, restartPolicy: Always}], containers: [{name: c, image: tool}]}`, "Unsupported", "spec.initContainers[0].restartPolicy"},
		"no-image":     {`{containers: [{name: c, image: "other:1"}]}`, "ErrImagePull", `no image "other:1" is known`},
		"as-root":      {`{securityContext: {runAsNonRoot: true, runAsUser: 0}, containers: [{name: c, image: tool}]}`, "CreateContainerConfigError", "runAsNonRoot"},
		"no-program":   {`{restartPolicy: Never, containers: [{name: c, image: tool, command: [sh]}]}`, "StartError", "not found in $PATH"},
		"elsewhere":    {`{nodeSelector: {disk: fast}, containers: [{name: c, image: tool}]}`, "Unschedulable", "selector"},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, "/api/v1/namespaces/refused/pods", fmt.Sprintf(`{metadata: {name: %s}, spec: %s}`, name, test.spec))
			eventually(t, "its status says why", func() error {
				status := pod(t, ns, name).Status
				text := status.Reason + " " + status.Message
				for _, c := range status.Conditions {
					text += " " + c.Reason + " " + c.Message
				}
				for _, c := range status.ContainerStatuses {
					if w := c.State.Waiting; w != nil {
						text += " " + w.Reason + " " + w.Message
					}
					if e := c.State.Terminated; e != nil {
						text += " " + e.Reason + " " + e.Message
					}
				}
				if !strings.Contains(text, test.reason) || !strings.Contains(text, test.want) {
					return fmt.Errorf("it says %q, want %q and %q", text, test.reason, test.want)
				}
				return nil
			})
		})
	}
}

func TestPod_EndsWithinItsGrace(t *testing.T) {
	ns := namespace(t, "grace", nil)
	apply(t, "/api/v1/namespaces/grace/pods", `{metadata: {name: polite}, spec: {terminationGracePeriodSeconds: 600, containers: [{name: c, image: tool, args: [serve, ":6443"],
		lifecycle: {preStop: {exec: {command: [/tool, check, /no/such/file]}}}}]}}`)
	waitReady(t, ns, "polite")
	eventually(t, "it serves", func() error { _, err := ask(t, ns, "pods", "polite:6443", "/id"); return err })
	if err := client.CoreV1().Pods(ns).Delete(t.Context(), "polite", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pod is gone, long before its grace is over", func() error {
		p, err := client.CoreV1().Pods(ns).Get(t.Context(), "polite", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is %v, %w", p.Status, err)
		}
		return nil
	})
	eventually(t, "the failed hook is reported", func() error {
		events, err := client.CoreV1().Events(ns).List(t.Context(), metav1.ListOptions{FieldSelector: "reason=FailedPreStopHook"})
		if err != nil || len(events.Items) == 0 {
			return fmt.Errorf("there is no event, %w", err)
		}
		return nil
	})
}
