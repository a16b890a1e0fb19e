package kubelet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/host/kubelet/sandbox"
	"github.com/annex-dev/annex/test/framework/host/splice"
)

// podRange is where pods have their addresses.
const podRange = "10.244.0.0/16"

// network is the way to pods and Services: what kube-proxy and a network plugin
// do in a cluster.
type network struct {
	kubelet       *Kubelet
	services      netip.Prefix
	pods          netip.Prefix
	changed       chan struct{} // has room for one
	mu            sync.Mutex
	lastPod       netip.Addr
	turn          int
	listeners     map[string]net.Listener // address of a Service to the listener there
	refused       map[string]string       // Service to what it wants and cannot have
	others        []net.Listener          // for addresses outside
	names         net.PacketConn          // nil before start
	connections   sync.WaitGroup
	stopListening bool
}

func newNetwork(k *Kubelet) *network {
	pods := netip.MustParsePrefix(podRange)
	return &network{
		kubelet: k, services: netip.MustParsePrefix(host.ServiceRange), pods: pods,
		changed: make(chan struct{}, 1), lastPod: pods.Addr().Next(),
		listeners: map[string]net.Listener{}, refused: map[string]string{},
	}
}

// start opens the node's network: the addresses of Services, and those outside
// that are not in every pod's own loopback interface.
func (n *network) start(ctx context.Context) error {
	if err := n.kubelet.node.Route(ctx, host.ServiceRange); err != nil {
		return fmt.Errorf("routing the addresses of Services: %w", err)
	}
	for _, address := range n.kubelet.options.outside {
		target := netip.MustParseAddrPort(address)
		if target.Addr().IsLoopback() {
			continue // see openOutside
		}
		if err := n.kubelet.node.Route(ctx, netip.PrefixFrom(target.Addr(), target.Addr().BitLen()).String()); err != nil {
			return fmt.Errorf("routing %s: %w", address, err)
		}
		listener, err := n.kubelet.node.Listen(ctx, address)
		if err != nil {
			return fmt.Errorf("opening %s for pods: %w", address, err)
		}
		n.forward(listener, directly(address))
	}
	names, err := n.kubelet.node.ListenPacket(ctx, net.JoinHostPort(dnsAddress, "53"))
	if err != nil {
		return fmt.Errorf("opening the name service of pods: %w", err)
	}
	n.names = names
	n.connections.Go(func() { n.serveNames(names) })
	n.servicesChanged(nil)
	n.kubelet.work.Go(n.run)
	return nil
}

// nextAddress returns an address that no pod of this node had before.
func (n *network) nextAddress() (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := n.lastPod.Next()
	if !n.pods.Contains(next) {
		return "", fmt.Errorf("all addresses of %s were used", podRange)
	}
	n.lastPod = next
	return next.String(), nil
}

// openOutside gives a pod the loopback addresses of the machine that it may
// connect to. The function returned takes them away.
func (n *network) openOutside(ctx context.Context, pod *sandbox.Pod) (func(), error) {
	var opened []net.Listener
	shut := func() {
		for _, listener := range opened {
			_ = listener.Close()
		}
	}
	for _, address := range n.kubelet.options.outside {
		if !netip.MustParseAddrPort(address).Addr().IsLoopback() {
			continue
		}
		listener, err := pod.Listen(ctx, address)
		if err != nil {
			shut()
			return nil, fmt.Errorf("opening %s for the pod: %w", address, err)
		}
		opened = append(opened, listener)
		n.forward(listener, directly(address))
	}
	return shut, nil
}

func directly(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
}

// forward connects what comes in at the listener until that is closed.
func (n *network) forward(listener net.Listener, dial func(context.Context) (net.Conn, error)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopListening {
		_ = listener.Close()
		return
	}
	n.others = append(n.others, listener)
	n.connections.Go(func() { n.accept(listener, dial) })
}

func (n *network) accept(listener net.Listener, dial func(context.Context) (net.Conn, error)) {
	ctx := n.kubelet.ctx
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		n.connections.Go(func() {
			server, err := dial(ctx)
			if err != nil {
				reset(client)
				return
			}
			splice.Join(ctx, client, server)
		})
	}
}

// reset closes a connection so that the other end sees a failure, not an end.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func kubeletAddress(host string) string { return net.JoinHostPort(host, strconv.Itoa(kubeletPort)) }

// dialForHost connects for kube-apiserver.
func (n *network) dialForHost(ctx context.Context, _, address string) (net.Conn, error) {
	if address == kubeletAddress(NodeName) || address == kubeletAddress(nodeAddress) {
		return directly(n.kubelet.logs.address)(ctx)
	}
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return directly(address)(ctx) // a name, of an ExternalName Service
	}
	switch {
	case n.services.Contains(target.Addr()):
		return n.dialService(ctx, target)
	case n.pods.Contains(target.Addr()):
		return n.kubelet.node.Dial(ctx, "tcp", address)
	default:
		return directly(address)(ctx)
	}
}

// dialService connects to a ready pod of a Service.
func (n *network) dialService(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	for _, service := range list[*corev1.Service](n.kubelet.stores.services, "") {
		if service.Spec.ClusterIP != address.Addr().String() {
			continue
		}
		for _, port := range service.Spec.Ports {
			if port.Port == int32(address.Port()) {
				return n.dialPort(ctx, service, port)
			}
		}
	}
	return nil, fmt.Errorf("no Service has the address %s", address)
}

func (n *network) dialPort(ctx context.Context, service *corev1.Service, port corev1.ServicePort) (net.Conn, error) {
	if service.Namespace == corev1.NamespaceDefault && service.Name == "kubernetes" {
		server, err := url.Parse(n.kubelet.host.Config().Host)
		if err != nil {
			return nil, fmt.Errorf("reading the address of the host: %w", err)
		}
		return directly(server.Host)(ctx)
	}
	endpoints := n.endpoints(service, port)
	if len(endpoints) == 0 {
		return nil, fmt.Errorf("the Service %s/%s has no ready endpoint", service.Namespace, service.Name)
	}
	n.mu.Lock()
	n.turn++
	endpoint := endpoints[n.turn%len(endpoints)]
	n.mu.Unlock()
	if n.pods.Contains(endpoint.Addr()) {
		return n.kubelet.node.Dial(ctx, "tcp", endpoint.String())
	}
	return directly(endpoint.String())(ctx)
}

// endpoints returns where the ready pods of a Service listen.
func (n *network) endpoints(service *corev1.Service, port corev1.ServicePort) []netip.AddrPort {
	var found []netip.AddrPort
	for _, slice := range list[*discoveryv1.EndpointSlice](n.kubelet.stores.slices, service.Namespace) {
		if slice.Labels[discoveryv1.LabelServiceName] != service.Name || slice.AddressType != discoveryv1.AddressTypeIPv4 {
			continue
		}
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name == nil || *p.Name != port.Name {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if endpoint.Conditions.Ready != nil && !*endpoint.Conditions.Ready {
					continue
				}
				if address, err := netip.ParseAddr(endpoint.Addresses[0]); err == nil {
					found = append(found, netip.AddrPortFrom(address, uint16(*p.Port)))
				}
			}
		}
	}
	return found
}

func (n *network) stop() {
	n.mu.Lock()
	n.stopListening = true
	for _, listener := range n.others {
		_ = listener.Close()
	}
	for _, listener := range n.listeners {
		_ = listener.Close()
	}
	if n.names != nil {
		_ = n.names.Close()
	}
	n.mu.Unlock()
	n.connections.Wait()
}
