package sandbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout bounds a connection inside of one machine.
const dialTimeout = 10 * time.Second

// gateway is the node's address on every link to a pod. It is link-local, so
// that it takes no address from anybody.
const gateway = "169.254.1.1"

// prepareNodeNetwork makes the node a router between its pods.
func prepareNodeNetwork() error {
	if err := setUp("lo"); err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return fmt.Errorf("making the node a router: %w", err)
	}
	return nil
}

// routeLocally makes all addresses of a network the node's own.
func routeLocally(network string) error {
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return fmt.Errorf("reading a network: %w", err)
	}
	lo, err := index("lo")
	if err != nil {
		return err
	}
	return ignoreExisting(addRoute(route{to: prefix, table: unix.RT_TABLE_LOCAL, kind: unix.RTN_LOCAL, scope: unix.RT_SCOPE_HOST, link: lo}))
}

func ignoreExisting(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// newNetwork makes a network namespace that lasts while the file is open.
func newNetwork() (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- result{err: fmt.Errorf("making a network namespace: %w", err)}
			return
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		made <- result{file, err}
	}()
	r := <-made
	return r.file, r.err
}

// joinNetwork connects a pod's network with the node's by a pair of virtual
// Ethernet devices, and gives the pod its address and the node as its router.
func joinNetwork(network *os.File, link, address string) error {
	pod, err := netip.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("reading the pod's address: %w", err)
	}
	router, host := netip.MustParseAddr(gateway), pod.BitLen()
	if err := addPair(link, "eth0", network); err != nil {
		return fmt.Errorf("making the devices between node and pod: %w", err)
	}
	own, err := index(link)
	if err != nil {
		return err
	}
	if err := addAddress(own, router); err != nil {
		return err
	}
	if err := setUp(link); err != nil {
		return err
	}
	if err := addRoute(route{to: netip.PrefixFrom(pod, host), table: unix.RT_TABLE_MAIN, kind: unix.RTN_UNICAST, scope: unix.RT_SCOPE_LINK, link: own}); err != nil {
		return err
	}
	return within(network, func() error { return preparePodNetwork(pod, router) })
}

func preparePodNetwork(pod, router netip.Addr) error {
	if err := setUp("lo"); err != nil {
		return err
	}
	eth, err := index("eth0")
	if err != nil {
		return err
	}
	if err := addAddress(eth, pod); err != nil {
		return err
	}
	if err := setUp("eth0"); err != nil {
		return err
	}
	toRouter := route{to: netip.PrefixFrom(router, router.BitLen()), table: unix.RT_TABLE_MAIN, kind: unix.RTN_UNICAST, scope: unix.RT_SCOPE_LINK, link: eth}
	if err := addRoute(toRouter); err != nil {
		return err
	}
	everything := route{to: netip.PrefixFrom(netip.IPv4Unspecified(), 0), via: router, table: unix.RT_TABLE_MAIN, kind: unix.RTN_UNICAST, link: eth}
	if err := addRoute(everything); err != nil {
		return err
	}
	// As container runtimes set it: any user may take any port of a pod.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0); err != nil {
		return fmt.Errorf("opening the low ports of a pod: %w", err)
	}
	return nil
}

func index(link string) (uint32, error) {
	device, err := net.InterfaceByName(link)
	if err != nil {
		return 0, fmt.Errorf("looking for the device %s: %w", link, err)
	}
	return uint32(device.Index), nil
}

func setUp(link string) error {
	i, err := index(link)
	if err != nil {
		return err
	}
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], i)
	binary.NativeEndian.PutUint32(body[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(body[12:], unix.IFF_UP)
	if err := netlink(unix.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("setting the device %s up: %w", link, err)
	}
	return nil
}

// addPair makes two devices of which what goes into one comes out of the other:
// one here, the other in the given network.
func addPair(here, there string, network *os.File) error {
	descriptor := make([]byte, 4)
	binary.NativeEndian.PutUint32(descriptor, uint32(network.Fd()))
	peer := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, cString(there))...)
	peer = append(peer, attribute(unix.IFLA_NET_NS_FD, descriptor)...)

	const vethInfoPeer = 1 // VETH_INFO_PEER of linux/veth.h
	info := append(attribute(unix.IFLA_INFO_KIND, cString("veth")),
		attribute(unix.IFLA_INFO_DATA, attribute(vethInfoPeer, peer))...)
	body := append(make([]byte, unix.SizeofIfInfomsg), attribute(unix.IFLA_IFNAME, cString(here))...)
	return netlink(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, append(body, attribute(unix.IFLA_LINKINFO, info)...))
}

func addAddress(link uint32, address netip.Addr) error {
	body := make([]byte, unix.SizeofIfAddrmsg)
	body[0], body[1] = unix.AF_INET, byte(address.BitLen())
	binary.NativeEndian.PutUint32(body[4:], link)
	ip := address.AsSlice()
	body = append(body, attribute(unix.IFA_LOCAL, ip)...)
	body = append(body, attribute(unix.IFA_ADDRESS, ip)...)
	if err := netlink(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, body); err != nil {
		return fmt.Errorf("setting the address %s: %w", address, err)
	}
	return nil
}

type route struct {
	to                 netip.Prefix
	via                netip.Addr // may be unset
	table, kind, scope byte
	link               uint32
}

func addRoute(r route) error {
	body := make([]byte, unix.SizeofRtMsg)
	body[0], body[1] = unix.AF_INET, byte(r.to.Bits())
	body[4], body[5], body[6], body[7] = r.table, unix.RTPROT_STATIC, r.scope, r.kind
	if r.to.Bits() > 0 {
		body = append(body, attribute(unix.RTA_DST, r.to.Masked().Addr().AsSlice())...)
	}
	if r.via.IsValid() {
		body = append(body, attribute(unix.RTA_GATEWAY, r.via.AsSlice())...)
	}
	link := make([]byte, 4)
	binary.NativeEndian.PutUint32(link, r.link)
	if err := netlink(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, append(body, attribute(unix.RTA_OIF, link)...)); err != nil {
		return fmt.Errorf("setting a route to %s: %w", r.to, err)
	}
	return nil
}
