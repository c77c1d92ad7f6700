# What the specification gives to a process, as the tools show it; the kernel's log is not for it.
hostname; env | sort | grep -v '^_=\|^OLDPWD=\|^SHLVL='
df -P /tmp | awk '{ print $1, $6 }'; mount | awk '{ print $3, $3 == "/" ? "" : $5 }' | sort
ulimit -Hn; locale 2>/dev/null | head -1
grep ^Cap /proc/self/status
dmesg; echo "dmesg $?"
