package other

import _ "example.com/user/monitor/exec"
