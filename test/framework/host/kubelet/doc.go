// Package kubelet runs the pods of a test's host as processes of this machine,
// without a container engine and without root. With package host it makes a
// cluster of one Node in which a chart can be installed as it is.
//
//	chart ─► kube-apiserver ─► kube-controller-manager ─► pods       package host
//	               ▲    │                                  │
//	               │    │ egress (network.go)              ▼
//	               │    └──────► Services ──────► processes in namespaces    package sandbox
//	               │             service.go       pod.go, container.go
//	               └── status.go, claim.go, schedule.go, token.go ◄──┘
//
// A program that uses it calls [Main] first, because containers begin as further
// processes of the same program; see the example. The main type is [Kubelet];
// [Start] is for tests and stops everything when the test ends, [Run] is for
// programs. Images are named with [WithImage]: a program of this machine stands
// for an image, since there is no registry.
//
// What it does, in one process:
//
//   - as scheduler it binds pods to its Node when node selectors and affinities
//     allow that;
//   - as kubelet it runs init containers and containers with the command,
//     arguments and environment of the pod, its volumes (Secret, ConfigMap,
//     projected with tokens, downward API, emptyDir, claims), probes, preStop
//     hooks, restarts and grace. Volumes follow their Secrets and ConfigMaps by
//     an exchange of one symbolic link, tokens are renewed in time;
//   - as provisioner it makes a directory for each PersistentVolumeClaim of the
//     default class. It stays until the claim is deleted, whoever deletes the
//     pods;
//   - as kube-proxy and network plugin it gives each pod an address and carries
//     connections to a Service's address, from pods and from kube-apiserver, to
//     its ready endpoints in turn. Services and APIServices stay as they were
//     written;
//   - as name server it answers pods for Services, also for headless ones;
//   - kubectl logs works, without times of lines. kubectl exec does not.
//
// What it promises: a process gets what its pod says and no more. It sees its
// image and its volumes, not the machine's files; it is the user of the pod, and
// files of volumes are open to it only where they would be on a real machine; it
// reaches pods, Services and what [WithOutside] names. A pod that asks for what
// cannot be done here, a host network or a sidecar for instance, does not run: it
// fails, or waits when a controller would only replace it, with the reason
// Unsupported, and the message and an event say which field it was.
//
// What it leaves out: limits of CPU, memory and space (an event says so);
// several user ids in one pod, so that fsGroup opens volumes and nothing more;
// images in registries, so that imagePullPolicy and pull secrets change nothing;
// NetworkPolicies; IPv6. Back-off between restarts is a tenth of the usual or
// less. The seccomp profile RuntimeDefault refuses the system calls that
// container runtimes refuse. Pod Security is enforced by kube-apiserver itself.
//
// It needs Linux 5.12 with user namespaces for ordinary users; where they are
// restricted, Start fails and names the setting. Only tests may import it.
package kubelet
