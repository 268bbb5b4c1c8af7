#!/bin/bash
# Turns fresh mount, network, UTS and cgroup namespaces into a lab host, then stays as the process that holds them.
# Started in the cgroup that becomes this host's root. Arguments: lab, host, the host's folder, the folder of guest images.
set -eu
lab=$1 host=$2 folder=$3 images=$4
mkdir -p "$folder"/{run,etc,etc.work,var,var.work,libvirt/{etc,lib,log,cache}}

hostname "$host"

# A new sysfs shows this host's own network interfaces; the hierarchies mounted again show its own subtree as the root.
hierarchies=$(awk '$3 == "cgroup" || $3 == "cgroup2" { print $2, $3, $4 }' /proc/mounts)
mount -t sysfs sysfs /sys
grep -q '/sys/fs/cgroup cgroup2 ' <<<"$hierarchies" || mount -t tmpfs -o mode=755,size=1m cgroup /sys/fs/cgroup
while read -r path kind options; do
  if [ "$kind" = cgroup2 ]; then
    mkdir -p "$path" && mount -t cgroup2 cgroup2 "$path"
    continue
  fi
  controllers=$(tr , '\n' <<<"$options" | grep -vxE 'rw|ro|relatime|nosuid|nodev|noexec|xattr|noprefix|clone_children|release_agent=.*' | paste -sd ,)
  mkdir -p "$path"
  case $controllers in name=*) controllers=none,$controllers ;; esac
  mount -t cgroup -o "$controllers" cgroup "$path"
  for controller in ${controllers//,/ }; do
    [ "${path##*/}" = "$controller" ] || ln -sfn "${path##*/}" "/sys/fs/cgroup/$controller" 2>/dev/null || true
  done
done <<<"$hierarchies"
rm -f /sys/fs/cgroup/none /sys/fs/cgroup/name=* 2>/dev/null || true
mount -t tracefs tracefs /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf

# /etc and /var are the machine's with this host's changes on top; where overlays cannot be had, a copy and a skeleton.
if ! mount -t overlay overlay -o "lowerdir=/etc,upperdir=$folder/etc,workdir=$folder/etc.work" /etc 2>/dev/null; then
  cp -a /etc/. "$folder/etc/"
  mount --bind "$folder/etc" /etc
fi
if ! mount -t overlay overlay -o "lowerdir=/var,upperdir=$folder/var,workdir=$folder/var.work" /var 2>/dev/null; then
  mkdir -p "$folder"/var/{lib,log,cache,spool}
  mkdir -pm 1777 "$folder/var/tmp"
  ln -s /run "$folder/var/run"
  mount --bind "$folder/var" /var
fi
# libvirt's QEMU driver does not start without the user that libvirt-daemon-system would have made, even where it is not used.
getent passwd libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:64055:in the lab only:/:/usr/sbin/nologin' >>/etc/passwd
getent group libvirt-qemu >/dev/null || echo 'libvirt-qemu:x:64055:' >>/etc/group
mkdir -p /etc/{libvirt,proteus} /var/lib/{libvirt,proteus} /var/log/{libvirt,proteus} /var/cache/libvirt
mount --bind "$folder/libvirt/etc" /etc/libvirt
mount --bind "$folder/libvirt/lib" /var/lib/libvirt
mount --bind "$folder/libvirt/log" /var/log/libvirt
mount --bind "$folder/libvirt/cache" /var/cache/libvirt
mkdir -p /var/lib/libvirt/images
mount --bind "$folder/hosts" /etc/hosts
echo "$host" >/etc/hostname

mkdir -p "$folder"/run/{lock,libvirt,proteus,lab-images}
mount --bind "$images" "$folder/run/lab-images"
mount --rbind "$folder/run" /run

touch /run/lab-host-ready
exec -a "proteus-lab-$lab-$host" sleep infinity
